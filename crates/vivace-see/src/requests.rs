//! The requests that are being answered, and how the time of each divides.
//!
//! A request has an account from when it comes until its application has ended. The account lies
//! at an address of its own for as long as the process lives, so that the thread that watches can
//! read it at any moment. Only the thread of the loop writes to it. Accounts are opened and closed
//! under one lock, which whoever calls has: the GIL.
//!
//! Tasks say by a number which account is theirs: that of the request whose task made them. The
//! number of an account that was closed is never used again, so that a task that outlives its
//! request is taken for nobody's.
//!
//! Every moment of a request is counted once. It is *running* while one of its tasks takes a step,
//! *queued* while none runs and one is ready, *in threads* while the task that goes on next waited
//! for another thread, *for the client* while its application waits for the body. The rest of the
//! time it waits for something else.

use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Accounts are made by so many.
const CHUNK: usize = 256;
/// So many times.
const CHUNKS: usize = 256;
/// The lower bits of a number are the place of the account, plus one.
const PLACE_BITS: u32 = 20;
const PLACE_MASK: u64 = (1 << PLACE_BITS) - 1;

static ACCOUNTS: [OnceLock<Box<[Account]>>; CHUNKS] = [const { OnceLock::new() }; CHUNKS];
/// The place, plus one, of the first account that is free.
static FREE: AtomicU64 = AtomicU64::new(0);
/// How many places have been used.
static USED: AtomicU64 = AtomicU64::new(0);

/// See the module. Times are in ticks of the processor's counter.
#[derive(Default)]
pub struct Account {
    /// 0 while nobody has it.
    number: AtomicU64,
    /// The next one that is free.
    next: AtomicU64,
    /// The next number.
    generation: AtomicU64,
    /// The address of the scope that the application was given.
    scope: AtomicU64,
    begin: AtomicU64,
    /// Until when its time has been counted.
    counted: AtomicU64,
    running: AtomicU64,
    queued: AtomicU64,
    threads: AtomicU64,
    client: AtomicU64,
    /// A step of one of its tasks is being taken.
    in_step: AtomicU64,
    /// Its application waits for the body.
    listening: AtomicU64,
    /// Nobody is to be told any more that it has no answer yet.
    settled: AtomicU64,
    tasks: AtomicU64,
}

/// How the time of a request divides, in ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Division {
    /// All of it.
    pub total: u64,
    /// On the loop.
    pub running: u64,
    /// Ready to run, while others did.
    pub queued: u64,
    /// Waiting for another thread.
    pub threads: u64,
    /// Waiting for the body that the client sends.
    pub client: u64,
    /// Waiting for something else.
    pub waiting: u64,
}

fn add(word: &AtomicU64, amount: u64) {
    word.store(word.load(Relaxed).wrapping_add(amount), Relaxed);
}

fn at(place: u64) -> Option<&'static Account> {
    let place = usize::try_from(place.checked_sub(1)?).ok()?;
    ACCOUNTS.get(place / CHUNK)?.get()?.get(place % CHUNK)
}

/// Takes a place that was used before, or a new one; none if there are too many requests.
fn take_place() -> Option<u64> {
    let first = FREE.load(Relaxed);
    if let Some(account) = at(first) {
        FREE.store(account.next.load(Relaxed), Relaxed);
        return Some(first);
    }
    new_place()
}

#[cold]
fn new_place() -> Option<u64> {
    let place = USED.load(Relaxed) + 1;
    let chunk = ACCOUNTS.get((place - 1) as usize / CHUNK)?;
    chunk.get_or_init(|| (0..CHUNK).map(|_| Account::default()).collect());
    USED.store(place, Release);
    Some(place)
}

/// A request has come: its number, or 0 if there are too many. `scope` is the address of what its
/// application will be given. Not by two threads at once.
pub fn open(scope: usize, now: u64) -> u64 {
    let Some(place) = take_place() else { return 0 };
    let Some(account) = at(place) else { return 0 };
    let generation = account.generation.load(Relaxed) + 1;
    account.generation.store(generation, Relaxed);
    account.scope.store(scope as u64, Relaxed);
    account.begin.store(now, Relaxed);
    account.counted.store(now, Relaxed);
    for word in [
        &account.running,
        &account.queued,
        &account.threads,
        &account.client,
        &account.in_step,
        &account.listening,
        &account.settled,
        &account.tasks,
    ] {
        word.store(0, Relaxed);
    }
    let number = generation << PLACE_BITS | place;
    account.number.store(number, Release);
    number
}

/// A request is over, and its scope may go. Not by two threads at once.
pub fn close(number: u64) {
    let Some(account) = of(number) else { return };
    account.number.store(0, Release);
    account.next.store(FREE.load(Relaxed), Relaxed);
    FREE.store(number & PLACE_MASK, Relaxed);
}

/// The account with a number, if its request is not over.
#[inline]
pub fn of(number: u64) -> Option<&'static Account> {
    at(number & PLACE_MASK).filter(|account| account.number.load(Acquire) == number)
}

/// The numbers of all requests that are not over.
pub fn all() -> impl Iterator<Item = u64> {
    (1..=USED.load(Acquire))
        .filter_map(at)
        .filter_map(|account| Some(account.number.load(Acquire)).filter(|number| *number != 0))
}

impl Account {
    /// The address of its scope. Good for as long as the request is not over.
    pub fn scope(&self) -> usize {
        self.scope.load(Relaxed) as usize
    }

    /// How many tasks were made for it.
    pub fn tasks(&self) -> u64 {
        self.tasks.load(Relaxed)
    }

    /// When it came.
    pub fn begin(&self) -> u64 {
        self.begin.load(Relaxed)
    }

    /// A task was made for it.
    pub fn add_task(&self) {
        add(&self.tasks, 1);
    }

    /// It is answered, or has been told of, or may last for as long as it likes.
    pub fn settle(&self) {
        self.settled.store(1, Relaxed);
    }

    /// Whether [`Self::settle`] was called.
    pub fn is_settled(&self) -> bool {
        self.settled.load(Relaxed) != 0
    }

    /// A step of one of its tasks begins. The task was made ready at some time, by another thread
    /// or not; `parked` is what [`Self::parked`] answered when it began to wait. The answer is how
    /// long that took, without what was counted meanwhile; none if it is a step inside another.
    pub fn begin_step(&self, now: u64, ready: u64, by_thread: bool, parked: u64) -> Option<u64> {
        if self.in_step.load(Relaxed) != 0 {
            return None;
        }
        self.in_step.store(1, Relaxed);
        let counted = self.counted.load(Relaxed);
        let now = now.max(counted);
        let ready = ready.clamp(counted, now);
        let waited = (self.parked() + (ready - counted)).saturating_sub(parked);
        if by_thread {
            add(&self.threads, waited);
        }
        add(&self.queued, now - ready);
        self.counted.store(now, Relaxed);
        Some(waited)
    }

    /// That step has ended, having taken so long; 0 if it was not measured.
    pub fn end_step(&self, now: u64, took: u64) {
        self.in_step.store(0, Relaxed);
        if took != 0 {
            let counted = self.counted.load(Relaxed);
            let now = now.max(counted);
            add(&self.running, took.min(now - counted));
            self.counted.store(now, Relaxed);
        }
    }

    /// How long it has waited until now for nothing that is counted.
    pub fn parked(&self) -> u64 {
        let known = [&self.running, &self.queued, &self.threads, &self.client];
        let known: u64 = known.iter().map(|word| word.load(Relaxed)).sum();
        let counted = self.counted.load(Relaxed).wrapping_sub(self.begin.load(Relaxed));
        counted.saturating_sub(known)
    }

    /// The application is about to wait for the body of the request; the answer is that of
    /// [`Self::parked`].
    pub fn listen(&self) -> u64 {
        self.listening.store(1, Relaxed);
        self.parked()
    }

    /// Whether the application waits for the body.
    pub fn is_listening(&self) -> bool {
        self.listening.load(Relaxed) != 0
    }

    /// The body has come, for which the application had waited since `parked` was the answer of
    /// [`Self::listen`].
    pub fn heard_client(&self, parked: u64) {
        self.listening.store(0, Relaxed);
        add(&self.client, self.parked().saturating_sub(parked));
    }

    /// How its time divides until now.
    pub fn divide(&self, now: u64) -> Division {
        let counted = self.counted.load(Relaxed);
        let total = now.max(counted).saturating_sub(self.begin.load(Relaxed));
        let goes_on = if self.in_step.load(Relaxed) != 0 { now.saturating_sub(counted) } else { 0 };
        let running = self.running.load(Relaxed) + goes_on;
        let queued = self.queued.load(Relaxed);
        let threads = self.threads.load(Relaxed);
        let client = self.client.load(Relaxed);
        let waiting = total.saturating_sub(running + queued + threads + client);
        Division { total, running, queued, threads, client, waiting }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use super::*;

    /// In the place of the GIL.
    fn lock() -> MutexGuard<'static, ()> {
        static LOCK: Mutex<()> = Mutex::new(());
        LOCK.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[test]
    fn every_moment_is_counted_once() {
        let _locked = lock();
        let number = open(1, 100);
        let account = of(number).expect("it was just opened");
        // The first step follows at once; it ends at 130, and the task waits until 200.
        assert!(account.begin_step(110, 110, false, 0).is_some());
        account.end_step(130, 20);
        let parked = account.parked();
        assert!(account.begin_step(220, 200, false, parked).is_some());
        account.end_step(230, 10);
        let division = account.divide(250);
        let expected =
            Division { total: 150, running: 30, queued: 20, waiting: 100, ..Division::default() };
        assert_eq!(division, expected);
        close(number);
    }

    #[test]
    fn two_tasks_that_are_ready_are_counted_once() {
        let _locked = lock();
        let number = open(1, 0);
        let account = of(number).expect("it was just opened");
        assert!(account.begin_step(10, 0, false, 0).is_some());
        account.end_step(20, 10);
        // Ready since 5, while the other one was ready, too, and ran.
        assert!(account.begin_step(30, 5, false, 0).is_some());
        account.end_step(40, 10);
        let expected = Division { total: 40, running: 20, queued: 20, ..Division::default() };
        assert_eq!(account.divide(40), expected);
        close(number);
    }

    #[test]
    fn a_wait_for_a_thread_is_one_even_if_another_task_slept_meanwhile() {
        let _locked = lock();
        let number = open(1, 0);
        let account = of(number).expect("it was just opened");
        assert!(account.begin_step(0, 0, false, 0).is_some());
        account.end_step(10, 10);
        let parked = account.parked();
        // Another task of it wakes from a sleep at 50.
        assert!(account.begin_step(50, 50, false, parked).is_some());
        account.end_step(60, 10);
        // The thread is done at 100.
        assert!(account.begin_step(105, 100, true, parked).is_some());
        account.end_step(110, 5);
        let division = account.divide(110);
        let expected =
            Division { total: 110, running: 25, queued: 5, threads: 80, ..Division::default() };
        assert_eq!(division, expected);
        close(number);
    }

    #[test]
    fn a_step_inside_a_step_belongs_to_it() {
        let _locked = lock();
        let number = open(1, 0);
        let account = of(number).expect("it was just opened");
        assert!(account.begin_step(0, 0, false, 0).is_some());
        assert!(account.begin_step(5, 5, false, 0).is_none());
        account.end_step(20, 20);
        assert_eq!(account.divide(20).running, 20);
        close(number);
    }

    #[test]
    fn what_the_client_takes_is_told_apart() {
        let _locked = lock();
        let number = open(1, 0);
        let account = of(number).expect("it was just opened");
        assert!(account.begin_step(0, 0, false, 0).is_some());
        let parked = account.listen();
        account.end_step(10, 10);
        assert!(account.is_listening());
        assert!(account.begin_step(90, 90, false, parked).is_some());
        account.heard_client(parked);
        assert!(!account.is_listening());
        let division = account.divide(100);
        assert_eq!((division.client, division.running, division.waiting), (80, 20, 0));
        close(number);
    }

    #[test]
    fn the_number_of_a_closed_account_means_nothing_any_more() {
        let _locked = lock();
        let first = open(1, 0);
        close(first);
        assert!(of(first).is_none());
        close(first);
        let second = open(2, 0);
        assert_ne!(first, second);
        assert!(of(first).is_none());
        assert_eq!(of(second).map(Account::scope), Some(2));
        assert!(all().any(|number| number == second));
        close(second);
    }
}
