//! What goes wrong on purpose: by chance, from a seed, so that it goes wrong the same way again.

use clap::Args;

use crate::shared::random::Random;

/// Which faults there are, and how often.
#[derive(Args, Clone, Debug)]
pub(crate) struct FaultOptions {
    /// Share of publishes (0 to 1) that are answered by SEND_ERROR
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    send_errors: f64,
    /// Code of these errors, as in Pulsar's protocol; 22: the publish is not allowed
    #[arg(long, value_name = "CODE", default_value_t = 22)]
    pub(crate) send_error_code: u16,
    /// Share of producers (0 to 1) that are refused
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    refuse_producers: f64,
    /// Share of subscribes (0 to 1) that are refused
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    refuse_subscribes: f64,
    /// Code of these refusals; 6: the service is not ready
    #[arg(long, value_name = "CODE", default_value_t = 6)]
    pub(crate) refusal_code: u16,
    /// End each connection after so many messages, published or delivered
    #[arg(long, value_name = "MESSAGES", default_value_t = 0)]
    drop_every: u64,
    /// Where chance begins
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
}

/// One connection's faults.
pub(crate) struct Faults {
    options: FaultOptions,
    random: Random,
    messages: u64,
}

impl Faults {
    /// For the connection of that number.
    pub(crate) fn new(options: &FaultOptions, connection: u64) -> Self {
        Self {
            options: options.clone(),
            random: Random::new(
                options
                    .seed
                    .wrapping_mul(0x9e37_79b9)
                    .wrapping_add(connection),
            ),
            messages: 0,
        }
    }

    pub(crate) fn refuses_publish(&mut self) -> bool {
        hit(self.options.send_errors, &mut self.random)
    }

    pub(crate) fn refuses_producer(&mut self) -> bool {
        hit(self.options.refuse_producers, &mut self.random)
    }

    pub(crate) fn refuses_subscribe(&mut self) -> bool {
        hit(self.options.refuse_subscribes, &mut self.random)
    }

    pub(crate) fn codes(&self) -> (u64, i32) {
        let FaultOptions {
            send_error_code,
            refusal_code,
            ..
        } = self.options;
        (u64::from(send_error_code), i32::from(refusal_code))
    }

    pub(crate) fn count(&mut self, messages: u64) {
        self.messages += messages;
    }

    /// Whether the connection has had its messages.
    pub(crate) fn over(&self) -> bool {
        self.options.drop_every > 0 && self.messages >= self.options.drop_every
    }
}

/// Chance is asked only where there is some, so that one fault does not change another.
fn hit(share: f64, random: &mut Random) -> bool {
    const WHOLE: u32 = 1 << 30;
    share > 0.0 && (random.below(u64::from(WHOLE)) as f64) < share * f64::from(WHOLE)
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("expected a share from 0 to 1".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        faults: FaultOptions,
    }

    fn options(words: &[&str]) -> FaultOptions {
        Line::parse_from([&["test"], words].concat()).faults
    }

    #[test]
    fn a_share_of_publishes_fails_and_the_same_ones_again() {
        let options = options(&["--send-errors", "0.1", "--seed", "5"]);
        let drawn = |connection| -> Vec<bool> {
            let mut faults = Faults::new(&options, connection);
            (0..10_000).map(|_| faults.refuses_publish()).collect()
        };
        let refused = drawn(1).iter().filter(|refused| **refused).count();
        assert!((850..1150).contains(&refused), "{refused}");
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
    }

    #[test]
    fn nothing_goes_wrong_unless_it_is_asked_for() {
        let mut faults = Faults::new(&options(&[]), 0);
        faults.count(1 << 40);
        let wrong =
            faults.refuses_publish() || faults.refuses_producer() || faults.refuses_subscribe();
        assert!(!wrong && !faults.over());
        let mut faults = Faults::new(&options(&["--refuse-producers", "1"]), 0);
        assert!(faults.refuses_producer() && !faults.refuses_subscribe());
    }

    #[test]
    fn a_connection_is_over_after_its_messages() {
        let mut faults = Faults::new(&options(&["--drop-every", "10"]), 0);
        faults.count(9);
        assert!(!faults.over());
        faults.count(1);
        assert!(faults.over());
    }
}
