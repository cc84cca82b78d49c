//! The series of each route: found once by the template, then kept by their number.
//!
//! The number of routes is bounded, as each has a dozen series in every scrape: those beyond it
//! share the route `other`, and requests that no route matched the route `unmatched`. A template
//! begins with a slash, so neither can be one.

use super::histogram::{Buckets, Histogram};
use super::labels::{Method, STATUS_CLASSES};
use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{OnceLock, PoisonError, RwLock};

/// The number of a route, in the registry that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteId(u32);

impl RouteId {
    /// Requests that matched no route.
    pub const UNMATCHED: Self = Self(0);
    /// Routes beyond the bound.
    pub const OTHER: Self = Self(1);
}

/// What is counted of one route.
#[derive(Debug)]
pub(super) struct RouteSeries {
    pub(super) template: Box<str>,
    pub(super) requests: [[AtomicU64; STATUS_CLASSES.len()]; Method::ALL.len()],
    pub(super) duration: Histogram,
    pub(super) response_bytes: AtomicU64,
}

/// All routes. Rows are filled one after the other and never change.
#[derive(Debug)]
pub(super) struct Routes {
    numbers: RwLock<HashMap<Box<str>, RouteId>>,
    rows: Box<[OnceLock<RouteSeries>]>,
    buckets: Buckets,
}

impl Routes {
    pub(super) fn new(most: usize, buckets: Buckets) -> Self {
        let routes = Self {
            numbers: RwLock::default(),
            rows: (0..most.saturating_add(2)).map(|_| OnceLock::new()).collect(),
            buckets,
        };
        for (id, name) in [(RouteId::UNMATCHED, "unmatched"), (RouteId::OTHER, "other")] {
            routes.fill(id, name);
        }
        routes
    }

    /// The number of a template; that of `other` if there are too many.
    pub(super) fn number(&self, template: &str) -> RouteId {
        let numbers = self.numbers.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(&id) = numbers.get(template) {
            return id;
        }
        if numbers.len() + 2 >= self.rows.len() {
            return RouteId::OTHER;
        }
        drop(numbers);
        self.add(template)
    }

    #[cold]
    fn add(&self, template: &str) -> RouteId {
        let mut numbers = self.numbers.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been faster.
        if let Some(&id) = numbers.get(template) {
            return id;
        }
        let place = numbers.len() + 2;
        if place >= self.rows.len() {
            return RouteId::OTHER;
        }
        let Ok(number) = u32::try_from(place) else { return RouteId::OTHER };
        let id = RouteId(number);
        self.fill(id, template);
        numbers.insert(template.into(), id);
        id
    }

    fn fill(&self, RouteId(number): RouteId, template: &str) {
        let filled = self.rows[number as usize].set(RouteSeries {
            template: template.into(),
            requests: Default::default(),
            duration: Histogram::new(self.buckets.clone()),
            response_bytes: AtomicU64::new(0),
        });
        debug_assert!(filled.is_ok(), "a row is filled once");
    }

    /// The series of a route; of a number of another registry, those of `other`.
    #[inline]
    pub(super) fn series(&self, RouteId(number): RouteId) -> &RouteSeries {
        self.rows
            .get(number as usize)
            .and_then(OnceLock::get)
            .or_else(|| self.rows[1].get())
            .expect("invariant: the first two rows are filled from the beginning")
    }

    /// Those that there are.
    pub(super) fn all(&self) -> impl Iterator<Item = &RouteSeries> {
        self.rows.iter().filter_map(OnceLock::get)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_the_bound_all_are_one() {
        let routes = Routes::new(2, Buckets::new(&[]));
        let first = routes.number("/a");
        let second = routes.number("/b");
        assert_ne!(first, second);
        assert_eq!(routes.number("/c"), RouteId::OTHER);
        assert_eq!((routes.number("/a"), routes.number("/b")), (first, second));
        let names: Vec<_> = routes.all().map(|series| &*series.template).collect();
        assert_eq!(names, ["unmatched", "other", "/a", "/b"]);
        assert_eq!(&*routes.series(second).template, "/b");
        assert_eq!(&*routes.series(RouteId(99)).template, "other");
    }

    #[test]
    fn threads_agree_on_numbers() {
        let routes = Routes::new(50, Buckets::new(&[]));
        let found: Vec<Vec<_>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        (0..60).map(|number| routes.number(&format!("/{number}"))).collect()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("it ends")).collect()
        });
        for (number, id) in found[0].iter().enumerate().filter(|&(_, &id)| id != RouteId::OTHER) {
            assert_eq!(*routes.series(*id).template, format!("/{number}"));
            assert!(found.iter().all(|ids| ids[number] == *id || ids[number] == RouteId::OTHER));
        }
        assert_eq!(routes.all().count(), 52);
    }
}
