//! A record of any type, so that a test can be written once for all.

use cartwheel_wire::{
    CampaignFile, Codec, ControlRecord, DeadLetter, DecisionRecord, DecodeError, DeliveryRecord, EventRecord, RecordType, Revision,
    SendRecord, TimerRecord,
};

macro_rules! any {
    ($($name:ident($record:ty)),* $(,)?) => {
        #[derive(Clone, Debug, PartialEq)]
        pub(crate) enum Any { $($name($record),)* }

        impl Any {
            pub(crate) fn record_type(&self) -> RecordType {
                match self { $(Self::$name(_) => RecordType::$name,)* }
            }

            pub(crate) fn encode(&self, codec: &Codec) -> Vec<u8> {
                match self { $(Self::$name(record) => record.encode(codec),)* }
            }

            pub(crate) fn decode(record: RecordType, codec: &Codec, bytes: &[u8]) -> Result<Self, DecodeError> {
                match record { $(RecordType::$name => <$record>::decode(codec, bytes).map(Self::$name),)* }
            }
        }

        $(impl From<$record> for Any {
            fn from(record: $record) -> Self {
                Self::$name(record)
            }
        })*
    };
}

any! {
    Event(EventRecord),
    Timer(TimerRecord),
    Send(SendRecord),
    Delivery(DeliveryRecord),
    Decision(DecisionRecord),
    CampaignFile(CampaignFile),
    Revision(Revision),
    Control(ControlRecord),
    DeadLetter(DeadLetter),
}
