//! The writer of the access log: sinks that block, break, fill up and are moved away.
#![forbid(unsafe_code)]
// Pipes that fill up, files and time limits are not for Miri; the formats are.
#![cfg(not(miri))]

use rustix::pipe::{PipeFlags, pipe_with};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use vivace_http::access_log::{Colours, Destination, Flushed, Format, Notice, Options, Writer};

/// No test waits longer than this for anything.
const LIMIT: Duration = Duration::from_secs(30);

fn notice() -> Notice {
    Format::uvicorn(Colours::Off).notice()
}

fn pipe() -> (File, OwnedFd) {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).expect("a pipe");
    (File::from(reader), writer)
}

fn start(fd: OwnedFd, capacity: usize) -> Writer {
    Writer::start(Destination::Descriptor(fd), notice(), Options { capacity }).expect("a writer")
}

/// A file in a folder of its own, which is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vivace-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// How many lines a notice speaks of.
fn lost_in(line: &str) -> Option<u64> {
    line.strip_prefix("WARNING:  ")?.split(' ').next()?.parse().ok()
}

#[test]
fn a_line_arrives_without_being_asked_for() {
    let (reader, fd) = pipe();
    let writer = start(fd, 1 << 16);
    writer.write_line(b"one\n");
    let mut lines = BufReader::new(reader).lines();
    assert_eq!(lines.next().expect("a line").expect("text"), "one");
    writer.write_line(b"two\n");
    assert_eq!(lines.next().expect("a line").expect("text"), "two");
    drop(writer);
    assert!(lines.next().is_none(), "the descriptor is closed");
}

#[test]
fn flush_waits_for_what_was_logged() {
    let (mut reader, fd) = pipe();
    let writer = start(fd, 1 << 16);
    assert_eq!(writer.flush(LIMIT), Flushed::Done);
    for round in 0..50 {
        writer.write_line(b"line\n");
        assert_eq!(writer.flusher().flush(LIMIT), Flushed::Done, "{round}");
        assert_eq!(
            rustix::io::ioctl_fionread(&reader).expect("a pipe has a length"),
            5 * (round + 1)
        );
    }
    assert_eq!(writer.close(LIMIT), Flushed::Done);
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("text");
    assert_eq!(text, "line\n".repeat(50));
}

/// The reader stops: lines are dropped once the bound is reached, nobody blocks, and when the
/// reader goes on, a line says how many are missing.
#[test]
fn a_blocked_pipe_costs_lines_not_time_and_not_memory() {
    let (reader, fd) = pipe();
    let capacity = 64 << 10;
    let writer = start(fd, capacity);
    let line = [b"x".repeat(99), b"\n".to_vec()].concat();
    let before = Instant::now();
    // The pipe takes 64 KiB, a batch and the queue as much each; this is thirty times that.
    let logged = 60_000;
    for _ in 0..logged {
        writer.write_line(&line);
    }
    assert!(before.elapsed() < LIMIT, "logging does not wait for the pipe");
    assert_eq!(writer.flush(Duration::from_millis(10)), Flushed::TimedOut);
    let statistics = writer.statistics();
    assert_eq!(statistics.accepted + statistics.lost, logged);
    assert!(statistics.accepted * 100 <= 4 * capacity as u64, "{statistics:?}");
    assert!(statistics.lost > 0);

    let reading = std::thread::spawn(move || {
        BufReader::new(reader).lines().collect::<Result<Vec<_>, _>>().expect("text")
    });
    assert_eq!(writer.flush(LIMIT), Flushed::Done);
    writer.write_line(b"after\n");
    let lost = writer.statistics().lost;
    assert_eq!(writer.close(LIMIT), Flushed::Done);
    let lines = reading.join().expect("the reader ends");
    let whole = lines.iter().filter(|line| line.len() == 99).count() as u64;
    let told: u64 = lines.iter().filter_map(|line| lost_in(line)).sum();
    assert_eq!((whole + lost, told), (logged, lost));
    assert_eq!(lines.last().map(String::as_str), Some("after"));
    let notices = lines.iter().filter(|line| lost_in(line).is_some()).count() as u64;
    assert_eq!(lines.len() as u64, whole + notices + 1);
}

#[test]
fn closing_gives_up_on_a_blocked_pipe() {
    let (reader, fd) = pipe();
    let writer = start(fd, 1 << 20);
    for _ in 0..2_000 {
        writer.write_line(&[b"y".repeat(99), b"\n".to_vec()].concat());
    }
    let flusher = writer.flusher();
    assert_eq!(writer.close(Duration::from_millis(50)), Flushed::TimedOut);
    // The thread ends although nobody reads, and says so to whoever still waits.
    assert_eq!(flusher.flush(LIMIT), Flushed::Done);
    drop(reader);
}

#[test]
fn a_reader_that_left_is_survived_and_one_that_comes_back_is_told() {
    let folder = Folder::new("fifo");
    let path = folder.0.join("log");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .expect("a FIFO");
    let open = || {
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::NONBLOCK;
        File::from(
            rustix::fs::open(&path, flags, rustix::fs::Mode::empty()).expect("a FIFO to read"),
        )
    };
    let reader = open();
    let writer = Writer::start(Destination::File(path.clone()), notice(), Options::default())
        .expect("a writer");
    // Longer than the FIFO, so that it is torn when the reader leaves.
    writer.write_line(&[b"z".repeat(200_000), b"\n".to_vec()].concat());
    while rustix::io::ioctl_fionread(&reader).expect("a FIFO has a length") == 0 {
        std::thread::yield_now();
    }
    drop(reader);
    assert_eq!(writer.flush(LIMIT), Flushed::Done);
    writer.write_line(b"lost too\n");
    assert_eq!(writer.flush(LIMIT), Flushed::Done);
    assert_eq!(writer.statistics().lost, 2);
    assert!(writer.statistics().errors >= 2);

    // The FIFO has kept the beginning of the long line.
    let reader = File::open(&path).expect("a FIFO to read");
    let reading = std::thread::spawn(move || std::io::read_to_string(reader).expect("text"));
    writer.write_line(b"again\n");
    assert_eq!(writer.flush(LIMIT), Flushed::Done);
    drop(writer);
    let text = reading.join().expect("the reader ends");
    let (torn, rest) = text.split_once('\n').expect("the torn line is ended first");
    assert!(torn.bytes().all(|byte| byte == b'z') && torn.len() < 200_000);
    let lines: Vec<_> = rest.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lost_in(lines[0]), Some(2));
    assert_eq!(lines[1], "again");
}

#[test]
fn a_full_disk_is_survived() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let writer = start(full.into(), 1 << 16);
    for round in 1..=3 {
        writer.write_line(b"line\n");
        assert_eq!(writer.flush(LIMIT), Flushed::Done);
        assert_eq!(writer.statistics().lost, round);
        assert_eq!(writer.statistics().errors, round);
    }
}

#[test]
fn a_file_that_was_moved_away_is_opened_anew() {
    let folder = Folder::new("rotate");
    let path = folder.0.join("access.log");
    std::fs::write(&path, "there already\n").expect("a file");
    let mut writer = Writer::start(Destination::File(path.clone()), notice(), Options::default())
        .expect("a writer");
    writer.write_line(b"old\n");
    let moved = folder.0.join("access.log.1");
    std::fs::rename(&path, &moved).expect("renamed");
    writer.write_line(b"old still\n");
    writer.reopen().expect("opened anew");
    writer.write_line(b"new\n");
    assert_eq!(writer.flush(LIMIT), Flushed::Done);
    let text = |path| std::fs::read_to_string(path).expect("text");
    assert_eq!(text(&moved), "there already\nold\nold still\n");
    assert_eq!(text(&path), "new\n");

    std::fs::remove_dir_all(&folder.0).expect("removed");
    let error = writer.reopen().expect_err("there is no such folder");
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    writer.write_line(b"into the removed file\n");
    assert_eq!(writer.flush(LIMIT), Flushed::Done);
    assert_eq!(writer.statistics().errors, 0);
}

/// Eight threads log, while another flushes and a slow reader makes lines drop: each line is
/// whole, those of a thread are in order, and the sums are right.
#[test]
fn lines_of_many_threads_do_not_mix() {
    let (reader, fd) = pipe();
    let writer = Arc::new(start(fd, 32 << 10));
    let reading = std::thread::spawn(move || {
        BufReader::with_capacity(512, reader).lines().collect::<Result<Vec<_>, _>>().expect("text")
    });
    let over = Arc::new(AtomicBool::new(false));
    let flushing = {
        let (flusher, over) = (writer.flusher(), Arc::clone(&over));
        std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let _ = flusher.flush(Duration::from_millis(1));
            }
        })
    };
    let each = 20_000_u64;
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let writer = Arc::clone(&writer);
            std::thread::spawn(move || {
                for number in 0..each {
                    writer.write_line(format!("{thread} {number} {}\n", number * 7919).as_bytes());
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("a thread ends");
    }
    over.store(true, Ordering::Relaxed);
    flushing.join().expect("the thread ends");
    let writer = Arc::into_inner(writer).expect("nobody else has it");
    let statistics = writer.statistics();
    assert_eq!(writer.close(LIMIT), Flushed::Done);

    let lines = reading.join().expect("the reader ends");
    let mut next = [0; 8];
    let (mut whole, mut told) = (0, 0);
    for line in &lines {
        if let Some(lost) = lost_in(line) {
            told += lost;
            continue;
        }
        let numbers: Vec<u64> =
            line.split(' ').map(|word| word.parse().expect("a whole line")).collect();
        let &[thread, number, product] = &numbers[..] else { panic!("a torn line: {line}") };
        assert_eq!(product, number * 7919);
        let expected = &mut next[usize::try_from(thread).expect("a small number")];
        assert!(number >= *expected, "out of order: {line}");
        *expected = number + 1;
        whole += 1;
    }
    assert_eq!(whole, statistics.accepted);
    assert_eq!((whole + told, told), (8 * each, statistics.lost));
}
