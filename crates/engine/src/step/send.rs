//! The checks before every hand-over, in LANGUAGE.md's order (section 7): the first that fails is the recorded reason.

use std::{collections::BTreeMap, sync::Arc};

use cartwheel_language::{
    Campaign, Channel, Class, Outside, Over, Period, Send, Value, Verb, WhenFull,
    condition::{Condition, Verdict as Truth},
    for_language, sms,
    text::TextSetting,
    time::{Calendar, Opening, opening},
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use rust_decimal::Decimal;

use super::{About, Turn};
use crate::{
    customer::{Flight, Journey, Place},
    decision::{Reason, Verdict},
    effect::{Effect, Message},
    id::MessageId,
    input::{Address, Consented},
};

/// The longest time between decision and hand-over; a longer life takes new rounds (rule P15).
const ROUND: SignedDuration = SignedDuration::from_hours(24);

/// A conversational message answers the customer's own of the last 24 hours.
const CONVERSATION: SignedDuration = SignedDuration::from_hours(24);

/// Where a due message stands after it was decided.
pub(super) enum Attempt {
    /// It is on its way.
    Flying(MessageId),
    /// It waits; look again then.
    Hold(Timestamp),
    /// It will not be sent; the journey goes on.
    Skip,
    /// The journey is over.
    End,
}

/// Why a check stops a message.
enum Stop {
    Skip(Reason, Option<String>),
    Hold(Reason, Timestamp),
    End(Reason, Option<String>),
}

type Values = BTreeMap<String, Value>;

fn number(count: usize) -> Value {
    Value::Number(Decimal::from(count))
}

fn earliest(moments: impl IntoIterator<Item = Timestamp>) -> Timestamp {
    moments.into_iter().min().unwrap_or(Timestamp::MAX)
}

impl Turn<'_> {
    /// Checks everything, and sends if all of it allows.
    pub(super) fn decide(&mut self, campaign: &Arc<Campaign>, journey: &mut Journey, due: Timestamp) -> Attempt {
        let mut values = Values::new();
        match self.check(campaign, journey, due, &mut values) {
            Ok(message) => {
                let about = About::journey(journey).message(&message.id).values(values);
                self.record(Verdict::Sent, Reason::Planned, about);
                let id = message.id.clone();
                self.effect(Effect::Send(Box::new(message)));
                Attempt::Flying(id)
            }
            Err(stop) => {
                let (verdict, reason, detail, attempt) = match stop {
                    Stop::Skip(reason, detail) => (Verdict::Skipped, reason, detail, Attempt::Skip),
                    Stop::Hold(reason, until) => (Verdict::Held, reason, None, Attempt::Hold(until)),
                    Stop::End(reason, detail) => (Verdict::Ended, reason, detail, Attempt::End),
                };
                if let Attempt::Hold(until) = attempt {
                    values.insert("until".to_owned(), Value::Timestamp(until));
                }
                let mut about = About::journey(journey).values(values);
                about.detail = detail;
                self.record(verdict, reason, about);
                attempt
            }
        }
    }

    fn check(&mut self, campaign: &Arc<Campaign>, journey: &mut Journey, due: Timestamp, values: &mut Values) -> Result<Message, Stop> {
        let Some(step) = campaign.steps.get(usize::from(journey.step)) else { return Err(Stop::End(Reason::CampaignGone, None)) };
        let Verb::Send(send) = &step.verb else { return Err(Stop::End(Reason::CampaignGone, None)) };
        let (zone, source) = self.zone().clone();
        values.insert("zone".to_owned(), Value::Text(zone.iana_name().unwrap_or("UTC").to_owned()));
        values.insert("zone_source".to_owned(), Value::Text(format!("{source:?}").to_lowercase()));
        values.insert("due".to_owned(), Value::Timestamp(due));

        let runs_to = campaign.runs.to.as_ref().map(|to| to.instant(&zone));
        if runs_to.is_some_and(|to| to <= self.now) {
            return Err(Stop::End(Reason::AfterEnd, None));
        }
        let expiry = campaign.expires_after.add(due, &zone);
        if expiry <= self.now {
            return Err(Stop::Skip(Reason::Expired, None));
        }
        self.holds(campaign, journey, step.condition.as_ref(), values).map_err(|why| Stop::Skip(Reason::ConditionNotTrue, why))?;
        self.holds(campaign, journey, campaign.audience.as_ref(), values).map_err(|why| Stop::End(Reason::NoLongerInAudience, why))?;
        let address = self.reachable(campaign.class, values)?;
        let open_until = self.in_window(campaign, expiry, &zone, values)?;
        self.under_caps(campaign, send, expiry, &zone, values)?;
        let (text, parts) = self.render(campaign, journey, send, &address, &zone, values)?;

        let Address { value, home: Some(address_home), country, .. } = address else {
            return Err(Stop::Skip(Reason::InvalidAddress, None));
        };
        let sender = send.sms.sender_to(country.as_deref());
        let not_after = earliest([expiry, self.now.saturating_add(ROUND).unwrap_or(expiry)].into_iter().chain(runs_to));
        journey.round += 1;
        let message = Message {
            id: MessageId::new(&journey.id, journey.step, journey.round),
            journey: journey.id.clone(),
            customer: self.key().clone(),
            campaign: campaign.name.clone(),
            version: journey.version,
            step: journey.step,
            round: journey.round,
            class: campaign.class,
            delivery: campaign.delivery,
            channel: Channel::Sms,
            provider: sender.provider.clone(),
            from: sender.from.clone(),
            address: value,
            address_home,
            text,
            parts,
            decided: self.now,
            not_after,
        };
        self.take_off(campaign, send, &message, journey.object.as_ref(), open_until);
        Ok(message)
    }

    /// The message takes its place under the caps and in the balance.
    fn take_off(&mut self, campaign: &Campaign, send: &Send, message: &Message, object: Option<&(String, String)>, open_until: Timestamp) {
        let until = open_until.min(message.not_after);
        let flight = Flight {
            decided_at: self.key().clone(),
            journey: message.journey.clone(),
            campaign: message.campaign.clone(),
            version: message.version,
            object: object.cloned(),
            channel: message.channel,
            until,
            revoked: false,
        };
        let now = self.now;
        let sends = &mut self.customer.sends;
        sends.flights.insert(message.id.clone(), flight);
        sends.tally.decided += 1;
        if campaign.caps.count {
            sends.take_place(Place {
                at: now,
                message: message.id.clone(),
                channel: message.channel,
                class: message.class,
                tags: send.tags.clone(),
            });
        }
    }

    /// Whether a condition is true now; else what it saw.
    fn holds(
        &self,
        campaign: &Arc<Campaign>,
        journey: &Journey,
        condition: Option<&Condition>,
        values: &mut Values,
    ) -> Result<(), Option<String>> {
        let Some(condition) = condition else { return Ok(()) };
        let view = self.view_of(campaign, journey);
        values.extend(condition.observed(&view));
        match condition.evaluate(&view) {
            Truth::True => Ok(()),
            Truth::False => Err(None),
            Truth::Unknown(why) => Err(Some(why)),
        }
    }

    /// Consent and address (R67, R68).
    fn reachable(&self, class: Class, values: &mut Values) -> Result<Address, Stop> {
        let profile = &self.customer.profile;
        let Some(address) = profile.addresses.get(&Channel::Sms) else { return Err(Stop::Skip(Reason::NoAddress, None)) };
        if let Some(why) = &address.invalid {
            return Err(Stop::Skip(Reason::InvalidAddress, Some(why.clone())));
        }
        if let Some(why) = profile.dead.get(&Channel::Sms) {
            return Err(Stop::Skip(Reason::DeadAddress, Some(why.clone())));
        }
        let own_block = address.home.as_ref() == Some(self.key());
        let stopped = profile.stopped.get(&Channel::Sms).or_else(|| self.customer.blocked.get(&Channel::Sms).filter(|_| own_block));
        if let Some(block) = stopped {
            values.insert("opted_out_at".to_owned(), Value::Timestamp(block.at));
            return Err(Stop::Skip(Reason::OptedOut, None));
        }
        let consent = profile.consents.get(&Channel::Sms);
        if let Some(consent) = consent {
            values.insert("consent".to_owned(), Value::Text(format!("{:?}", consent.to).to_lowercase()));
            values.insert("consent_at".to_owned(), Value::Timestamp(consent.at));
            values.insert("consent_source".to_owned(), Value::Text(consent.source.clone()));
            if let Some(proof) = &consent.proof {
                values.insert("consent_proof".to_owned(), Value::Text(proof.clone()));
            }
        }
        let given = consent.map_or(Consented::None, |consent| consent.to);
        let enough = match class {
            Class::Promotional => given >= Consented::Promotional,
            Class::Transactional => given >= Consented::Transactional,
            Class::Conversational => profile.replied.get(&Channel::Sms).is_some_and(|at| self.now.duration_since(*at) <= CONVERSATION),
        };
        if enough { Ok(address.clone()) } else { Err(Stop::Skip(Reason::NoConsent, None)) }
    }

    /// Quiet hours and window (R29). Resolves with the moment at which they close.
    fn in_window(&self, campaign: &Campaign, expiry: Timestamp, zone: &TimeZone, values: &mut Values) -> Result<Timestamp, Stop> {
        let opens = match opening(&campaign.window, self.now, zone) {
            Opening::Open { until } => return Ok(until),
            Opening::Closed { opens } => opens,
            Opening::Never => Timestamp::MAX,
        };
        if opens < Timestamp::MAX {
            values.insert("opens".to_owned(), Value::Timestamp(opens));
        }
        match campaign.outside {
            Outside::Drop => Err(Stop::Skip(Reason::OutsideWindow, None)),
            Outside::Hold if opens >= expiry => {
                Err(Stop::Skip(Reason::Expired, Some("it would expire before the window opens".to_owned())))
            }
            Outside::Hold => Err(Stop::Hold(Reason::OutsideWindow, opens)),
        }
    }

    /// Frequency caps (R30): all rules hold together.
    fn under_caps(&self, campaign: &Campaign, send: &Send, expiry: Timestamp, zone: &TimeZone, values: &mut Values) -> Result<(), Stop> {
        if !campaign.caps.obey {
            return Ok(());
        }
        let mut room_at = None;
        for cap in &self.campaigns.shop().caps {
            let about = |tags: &[String], class: Class, channel: Channel| {
                cap.tag.as_ref().is_none_or(|tag| tags.contains(tag))
                    && cap.class.is_none_or(|wanted| wanted == class)
                    && cap.channel.is_none_or(|wanted| wanted == channel)
            };
            if !about(&send.tags, campaign.class, Channel::Sms) {
                continue;
            }
            let calendar = match cap.per {
                Period::Day => Some(Calendar::Day),
                Period::Week => Some(Calendar::Week),
                Period::Month => Some(Calendar::Month),
                Period::Rolling(_) => None,
            };
            let range = calendar.map(|calendar| calendar.period(self.now, zone));
            let mut taken: Vec<Timestamp> = self
                .customer
                .sends
                .places
                .iter()
                .filter(|place| about(&place.tags, place.class, place.channel))
                // One on its way takes its place at the hand-over, which may be as late as now.
                .map(|place| if self.customer.sends.flights.contains_key(&place.message) { self.now } else { place.at })
                .filter(|at| match (&range, cap.per) {
                    (Some(range), _) => range.contains(at),
                    (None, Period::Rolling(span)) => span.add(*at, zone) > self.now,
                    _ => false,
                })
                .collect();
            taken.sort();
            let at_most = usize::try_from(cap.at_most).unwrap_or(usize::MAX);
            if taken.len() < at_most {
                continue;
            }
            values.insert("cap".to_owned(), Value::Text(cap.to_string()));
            values.insert("cap_taken".to_owned(), number(taken.len()));
            // Room comes when the period ends, or when as many of the oldest places have left as are over the limit.
            let room = match (&range, cap.per) {
                (Some(range), _) => range.end,
                (None, Period::Rolling(span)) => taken.get(taken.len() - at_most).map_or(Timestamp::MAX, |at| span.add(*at, zone)),
                _ => Timestamp::MAX,
            };
            room_at = room_at.max(Some(room));
        }
        match (room_at, campaign.caps.when_full) {
            (None, _) => Ok(()),
            (Some(_), WhenFull::Skip) => Err(Stop::Skip(Reason::CapFull, None)),
            (Some(room), WhenFull::Defer) if room >= expiry => {
                Err(Stop::Skip(Reason::CapFull, Some("it would expire before there is room".to_owned())))
            }
            (Some(room), WhenFull::Defer) => Err(Stop::Hold(Reason::CapFull, room)),
        }
    }

    /// The text, with its footer, and its parts (R55, R56).
    fn render(
        &self,
        campaign: &Arc<Campaign>,
        journey: &Journey,
        send: &Send,
        address: &Address,
        zone: &TimeZone,
        values: &mut Values,
    ) -> Result<(String, u32), Stop> {
        let shop = self.campaigns.shop();
        let wanted = self.customer.profile.text("language");
        let fallback = shop.fallback_language();
        let Some((language, template)) = for_language(&send.sms.text, wanted, fallback) else {
            return Err(Stop::Skip(Reason::NoText, None));
        };
        values.insert("language".to_owned(), Value::Text(language.to_owned()));
        let links = self.campaigns.links(&address.value);
        let mut view = self.view_of(campaign, journey);
        view.language = Some(language);
        let setting = TextSetting { language, zone, links: &links };
        let failed = |error: cartwheel_language::text::RenderError| Stop::Skip(Reason::TextFailed, Some(error.to_string()));
        let mut text = template.render(&view, &setting).map_err(failed)?;
        let footer = for_language(&send.sms.footer, Some(language), fallback)
            .map(|(_, footer)| footer.render(&view, &setting))
            .transpose()
            .map_err(failed)?;
        if send.sms.transliterate {
            text = sms::transliterate(&text);
        }
        let tail = footer.filter(|footer| !footer.is_empty()).map(|footer| format!("\n{footer}")).unwrap_or_default();
        let mut whole = format!("{text}{tail}");
        let mut parts = sms::count(&whole).parts;
        let max_parts = usize::try_from(send.sms.max_parts).unwrap_or(usize::MAX);
        if parts > max_parts
            && send.sms.over == Over::Shorten
            && let Some(shorter) = sms::shorten(&whole, max_parts)
        {
            whole = shorter;
            parts = sms::count(&whole).parts;
        }
        values.insert("parts".to_owned(), number(parts));
        if parts > max_parts {
            return Err(Stop::Skip(Reason::TooManyParts, Some(format!("{parts} parts, at most {max_parts}"))));
        }
        Ok((whole, u32::try_from(parts).unwrap_or(u32::MAX)))
    }
}
