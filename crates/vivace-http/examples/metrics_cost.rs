//! What counting a request costs the thread that counts it, in nanoseconds:
//! `cargo run --release -p vivace-http --example metrics_cost`.
#![forbid(unsafe_code)]

use std::hint::black_box;
use std::time::{Duration, Instant};
use vivace_http::metrics::{Answered, Method, Options, Registry, exposition};

/// The middle of many short rounds: whoever else uses the machine disturbs only some of them.
const ROUNDS: usize = 20_001;
const REQUESTS: u32 = 100;

fn main() {
    let registry = Registry::new(&Options::default());
    let templates: Vec<_> = (0..200).map(|number| format!("/v1/things/{{id}}/{number}")).collect();
    let answered = Answered {
        route: registry.route(&templates[0]),
        method: Method::Get,
        status: 200,
        duration: Duration::from_micros(321),
        response_bytes: 1234,
    };
    print("begin and answer", || {
        registry.request_begun();
        registry.request_answered(black_box(&answered));
    });
    let mut next = templates.iter().cycle();
    print("find one of 200 routes", || {
        black_box(registry.route(next.next().map_or("", String::as_str)));
    });
    for template in &templates {
        registry.request_answered(&Answered { route: registry.route(template), ..answered });
    }
    let start = Instant::now();
    let text = exposition::text(&registry.snapshot());
    println!("a scrape of 200 routes: {:?}, {} KiB", start.elapsed(), text.len() / 1024);
}

fn print(what: &str, mut work: impl FnMut()) {
    let mut figures: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            (0..REQUESTS).for_each(|_| work());
            start.elapsed().as_nanos() / u128::from(REQUESTS)
        })
        .collect();
    figures.sort_unstable();
    println!("{what}: {} ns", figures[ROUNDS / 2]);
}
