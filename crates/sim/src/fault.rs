//! What goes wrong, and what must have been seen to go wrong for a run to prove anything.

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its words.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

words! {
    /// A fault, or a situation that only faults bring about. Over the fixed seeds each must occur, else the simulation is blind.
    Fault {
        /// An evaluator died between two awaits.
        EvaluatorCrash = "evaluator crashed",
        /// A dispatcher died between two awaits.
        DispatcherCrash = "dispatcher crashed",
        /// A delay-timer died between two awaits.
        DelayTimerCrash = "delay-timer crashed",
        /// An ingest died between two awaits.
        IngestCrash = "ingest crashed",
        /// An evaluator was frozen, another took its partition, and the first went on.
        EvaluatorZombie = "evaluator was a zombie",
        /// A dispatcher was frozen, another took its partition, and the first went on.
        DispatcherZombie = "dispatcher was a zombie",
        /// Two processes worked on one partition from the beginning.
        TwoOwners = "two owners at once",
        /// An evaluator found another fence than its own.
        Fenced = "evaluator was fenced",
        /// A dispatcher's claim was not the first.
        LostClaim = "claim was lost",
        /// Records landed long before their writer heard of it.
        LateAcknowledgement = "acknowledgement was late",
        /// A record landed after its writer had died.
        OrphanLanded = "record landed after its writer died",
        /// A record was lost with its writer.
        RecordLost = "record was lost with its writer",
        /// The store went back to an earlier moment.
        StoreRollback = "store was rolled back",
        /// The store carried a write out and did not say so.
        StoreSilent = "store did not answer a write",
        /// The delay-timer's view was lost or went back to an earlier moment.
        ViewRollback = "timer view was rolled back",
        /// The dispatcher's marks in its lanes were lost.
        MarksLost = "marks of the lanes were lost",
        /// An outcome came twice.
        DuplicateOutcome = "outcome came twice",
        /// An event came twice.
        DuplicateEvent = "event came twice",
        /// The provider took a message, and its answer did not come.
        AnswerLost = "provider's answer was lost",
        /// A request did not reach the provider, and nobody knew.
        RequestLost = "request to the provider was lost",
        /// The provider was away.
        ProviderAway = "provider was away",
        /// The provider refused a message.
        ProviderRefused = "provider refused",
        /// A message on its way was held back because its customer had opted out, bought or cleared the cart.
        HeldBack = "message on its way was held back",
        /// A message was repeated with its idempotency key.
        Repeated = "message was repeated",
        /// Nobody knew what became of a message.
        Unknown = "outcome was unknown",
        /// Two names of a person met.
        Joined = "names were joined",
    }
}
