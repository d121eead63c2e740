//! What is shown while a run lasts: one line that changes on a terminal, plain lines elsewhere.

use std::{
    io::{self, IsTerminal},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use indicatif::{ProgressBar, ProgressStyle};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

use crate::{
    schedule::{approximate, whole},
    text::grouped,
    window::Shared,
};

const SECOND_NS: u64 = 1_000_000_000;

enum Shown {
    Nothing,
    Bar(ProgressBar),
    Lines,
}

pub(crate) struct Progress {
    shown: Shown,
    /// Set by SIGINT and SIGTERM; a second one ends the program.
    interrupted: Arc<AtomicBool>,
    last: (u64, u64),
}

impl Progress {
    pub(crate) fn new(quiet: bool) -> io::Result<Self> {
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_shutdown(signal, 130, interrupted.clone())?;
            flag::register(signal, interrupted.clone())?;
        }
        let shown = if quiet {
            Shown::Nothing
        } else if io::stderr().is_terminal() {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
                bar.set_style(style);
            }
            Shown::Bar(bar)
        } else {
            Shown::Lines
        };
        Ok(Self {
            shown,
            interrupted,
            last: (0, 0),
        })
    }

    pub(crate) fn interrupted(&self) -> bool {
        self.interrupted.load(Relaxed)
    }

    /// So many clients are open.
    pub(crate) fn opened(&self, open: usize, of: usize) {
        if let Shown::Bar(bar) = &self.shown {
            bar.set_message(format!("{open} of {of} clients are connected"));
            bar.tick();
        }
    }

    /// Shows what was done, once a second.
    pub(crate) fn show(&mut self, now: u64, shared: &Shared) {
        let (then, before) = self.last;
        if now < then + SECOND_NS {
            return;
        }
        let done = shared.done();
        self.last = (now, done);
        if then == 0 {
            return;
        }
        let window = &shared.window;
        let rate = approximate(done - before) * 1e9 / approximate(now - then);
        let when = match now.checked_sub(window.begin()) {
            None => "warming".into(),
            Some(measured) => format!(
                "{} of {} s",
                measured / SECOND_NS,
                (window.end() - window.begin()).div_ceil(SECOND_NS)
            ),
        };
        let wrong = match shared.refused.load(Relaxed) {
            0 => String::new(),
            wrong => format!("   {} wrong", grouped(wrong)),
        };
        self.say(format!(
            "{when}   {} messages/s{wrong}",
            grouped(whole(rate))
        ));
    }

    fn say(&self, line: String) {
        match &self.shown {
            Shown::Nothing => {}
            Shown::Bar(bar) => {
                bar.set_message(line);
                bar.tick();
            }
            Shown::Lines => eprintln!("{line}"),
        }
    }

    /// Leaves nothing on the terminal.
    pub(crate) fn done(&self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}
