//! `vivace_core::inbox` as one thread sees it, against a list and a flag.
//!
//! What must hold: items come out in order, once; the loop does not fall asleep over one; and
//! whoever finds it asleep is told to wake it, once. That the same holds for several threads is
//! for loom to prove (`make loom`).
#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use vivace_core::inbox::{Inbox, Wake};

#[derive(Arbitrary, Debug)]
enum Operation {
    Push(u32),
    Wake,
    Take,
    FallAsleep,
    Awake,
}

fuzz_target!(|operations: Vec<Operation>| {
    let inbox = Inbox::default();
    let mut waiting = Vec::new();
    let mut asleep = false;
    let woken = |asleep: &mut bool| {
        if std::mem::take(asleep) { Wake::Needed } else { Wake::NotNeeded }
    };
    for operation in operations {
        match operation {
            Operation::Push(item) => {
                waiting.push(item);
                assert_eq!(inbox.push(item), woken(&mut asleep));
            }
            Operation::Wake => assert_eq!(inbox.wake(), woken(&mut asleep)),
            Operation::Take => assert_eq!(inbox.take(), std::mem::take(&mut waiting)),
            Operation::FallAsleep => {
                asleep = waiting.is_empty();
                assert_eq!(inbox.fall_asleep(), asleep);
            }
            Operation::Awake => {
                inbox.awake();
                asleep = false;
            }
        }
        assert_eq!(inbox.is_filled(), !waiting.is_empty());
    }
});
