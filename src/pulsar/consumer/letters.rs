//! A consumer's dead letters: taken one by one, published elsewhere, and done when they are stored.

use super::{
    Consumer,
    bits::Bits,
    dead_letter::{DeadLetters, Letter},
    outstanding::Known,
};
use crate::{session::Lane, timer::Now};

impl Consumer {
    /// Whether a dead letter is to be published now.
    #[must_use]
    pub fn has_letter(&self, now: Now) -> bool {
        let letters = self.tracker.dead_letters.as_deref();
        letters.is_some_and(|letters| letters.is_due(now.mono))
    }

    /// The next dead letter. When its messages are published, [`Consumer::note_letter`] is to follow.
    pub fn take_letter(&mut self) -> Option<Letter> {
        let tracker = &mut self.tracker;
        let entry = tracker.dead_letters.as_mut()?.take()?;
        let (id, size) = (entry.shape.id, entry.shape.size());
        let mut done = Bits::new(size);
        for index in 0..size {
            if tracker.outstanding.known(id, index) == Known::Acked {
                done.set(index);
            }
        }
        Some(Letter {
            entry,
            done,
            partition: tracker.spec.partition,
        })
    }

    /// A message of a dead letter is on its way.
    pub fn note_letter_message(&mut self, letter: &Letter, lane: Lane) {
        if let Some(letters) = &mut self.tracker.dead_letters {
            letters.note_sent(letter.entry.shape.id, lane);
        }
    }

    /// A dead letter is on its way, or could not be published.
    pub fn note_letter(&mut self, now: Now, letter: &Letter, is_published: bool) {
        let tracker = &mut self.tracker;
        let Some(letters) = &mut tracker.dead_letters else {
            return;
        };
        if !is_published {
            letters.note_unpublished(now.mono, &letter.entry);
        } else if letters.note_published(&letter.entry) {
            tracker.end_entry(now, letter.entry.shape.id);
        }
    }

    /// The oldest message of a dead letter that took this lane has its outcome. When all of the
    /// letter is stored, the broker may forget its entry.
    pub fn handle_letter_outcome(&mut self, now: Now, lane: Lane, is_stored: bool) {
        let tracker = &mut self.tracker;
        let Some(letters) = &mut tracker.dead_letters else {
            return;
        };
        if !is_stored {
            letters.handle_refused(now.mono, lane);
        } else if let Some(entry) = letters.handle_stored(lane) {
            tracker.end_entry(now, entry);
        }
    }

    /// There is no producer for dead letters, or none any more.
    pub fn handle_no_letters(&mut self, now: Now) {
        if let Some(letters) = &mut self.tracker.dead_letters {
            letters.handle_closed(now.mono);
        }
    }

    /// Whether messages of dead letters have no outcome.
    #[must_use]
    pub fn has_letters_in_flight(&self) -> bool {
        let letters = self.tracker.dead_letters.as_deref();
        letters.is_some_and(DeadLetters::is_in_flight)
    }
}
