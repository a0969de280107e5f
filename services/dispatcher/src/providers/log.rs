//! The provider of development: shows each message to whoever runs it, and sends nothing.

use futures::future::BoxFuture;

use cartwheel_engine::effect::Message;

use super::{Answer, Provider};

/// A message as it would have gone out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown<'a> {
    /// The shop's id.
    pub shop: &'a str,
    /// The campaign's name.
    pub campaign: &'a str,
    /// The address with all but its ends masked.
    pub address: &'a str,
    /// The text. It never goes to the service's own log.
    pub text: &'a str,
}

/// Takes every message and shows it.
pub struct LogProvider {
    show: Box<dyn Fn(Shown<'_>) + Send + Sync>,
}

impl LogProvider {
    /// Shows messages through `show`: to the terminal of a demo, or nowhere.
    pub fn new(show: impl Fn(Shown<'_>) + Send + Sync + 'static) -> Self {
        Self { show: Box::new(show) }
    }
}

impl Provider for LogProvider {
    fn hand_over<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            (self.show)(Shown {
                shop: message.customer.shop(),
                campaign: &message.campaign,
                address: &masked(&message.address),
                text: &message.text,
            });
            Answer::Taken { id: Some(format!("log-{}", message.id)) }
        })
    }
}

/// The first three and the last two characters; all of a short address is masked.
fn masked(address: &str) -> String {
    let length = address.chars().count();
    let seen = |place: usize| length > 7 && (place < 3 || place + 2 >= length);
    address.chars().enumerate().map(|(place, character)| if seen(place) { character } else { '*' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_ends_of_a_number_are_shown() {
        assert_eq!(masked("+447700900123"), "+44********23");
        assert_eq!(masked("+123456"), "*******");
    }
}
