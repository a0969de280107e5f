//! Customers of a town who each leave a cart and must each be reminded of it once, whatever happens to the services meanwhile.

use std::time::Duration;

use serde_json::json;

use crate::{Town, eventually, unique};

/// How long is watched that nobody is reminded again: the shop's wait and time for it to go through all services.
const QUIET: Duration = Duration::from_secs(6);

/// Somebody who left a cart.
#[derive(Clone, Debug)]
pub struct Customer {
    /// The user id.
    pub user: String,
    /// The number, of the North American range for fiction.
    pub phone: String,
}

/// The customers of a town so far.
pub struct Crowd<'a> {
    town: &'a Town,
    /// In turns of all partitions.
    place: &'a (dyn Fn(&str) -> u32 + Sync),
    customers: Vec<Customer>,
}

impl<'a> Crowd<'a> {
    /// Nobody yet. `place` gives the partition of a user id.
    pub fn new(town: &'a Town, place: &'a (dyn Fn(&str) -> u32 + Sync)) -> Self {
        Self { town, place, customers: Vec::new() }
    }

    /// Everybody so far.
    pub fn customers(&self) -> &[Customer] {
        &self.customers
    }

    /// New customers, who are known by number and consent. Each partition has as many as the next.
    ///
    /// # Panics
    /// Above the hundred numbers that there are.
    pub async fn join(&mut self, count: usize) -> Vec<Customer> {
        let mut new = Vec::with_capacity(count);
        for _ in 0..count {
            let number = self.customers.len();
            assert!(number < 100, "there are a hundred numbers for fiction");
            let partition = u32::try_from(number).unwrap_or_default() % self.town.partitions();
            let user = std::iter::repeat_with(|| unique("customer")).find(|user| (self.place)(user) == partition).unwrap_or_default();
            let customer = Customer { user, phone: format!("+1415555{:04}", 100 + number) };
            self.town.identify(json!({ "userId": customer.user }), &customer.phone, "Europe/London").await;
            self.customers.push(customer.clone());
            new.push(customer);
        }
        new
    }

    /// New customers, each of whom leaves a cart.
    pub async fn leave_carts(&mut self, count: usize) -> Vec<Customer> {
        let new = self.join(count).await;
        for customer in &new {
            let cart = json!({ "cart_id": unique("cart"), "product_id": "teapot", "name": "Teapot", "price": 12.5, "quantity": 1, "currency": "GBP" });
            self.town.track(json!({ "userId": customer.user }), "Product Added", cart).await;
        }
        new
    }

    /// Waits until each of `customers` has got `messages`, except those of whom `excused` says that they need not.
    ///
    /// # Panics
    /// When one gets none, or more.
    pub async fn each_gets(&self, customers: &[Customer], messages: usize, excused: impl Fn(&Customer) -> bool) {
        for customer in customers {
            eventually("a message to each", || async {
                let taken = self.town.provider().taken_by(&customer.phone);
                assert!(taken.len() <= messages, "twice: {taken:?}");
                if taken.len() == messages || excused(customer) {
                    return Ok(());
                }
                let logs = ["trigger-evaluator", "delay-timer", "dispatcher"].map(|service| self.town.log_of(service)).join("\n\n");
                Err(format!("{customer:?} has {} of {messages}; ended: {:?}; logs:\n{logs}", taken.len(), self.town.ended()))
            })
            .await;
        }
    }

    /// Watches for a while that nobody gets more than `messages`.
    ///
    /// # Panics
    /// When somebody does.
    pub async fn nobody_gets_more_than(&self, messages: usize) {
        let until = tokio::time::Instant::now() + QUIET;
        let mut look = tokio::time::interval(Duration::from_millis(100));
        while tokio::time::Instant::now() < until {
            look.tick().await;
            for customer in &self.customers {
                let taken = self.town.provider().taken_by(&customer.phone);
                assert!(taken.len() <= messages, "{customer:?}: {taken:?}");
            }
        }
    }
}
