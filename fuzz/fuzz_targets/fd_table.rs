//! `vivace_core::fd_table` against a map.
//!
//! What must hold: the table is a map from descriptors to items, for which a negative number is
//! never a descriptor.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use vivace_core::fd_table::FdTable;

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Fd {
    /// What the kernel hands out: low numbers, used again soon.
    Low(u8),
    /// As far as a raised limit goes in practice; the table has a place for each below.
    Open(u16),
    Negative(i32),
}

impl Fd {
    fn number(self) -> i32 {
        match self {
            Self::Low(fd) => fd.into(),
            Self::Open(fd) => fd.into(),
            Self::Negative(fd) => fd | i32::MIN,
        }
    }
}

#[derive(Arbitrary, Debug)]
enum Operation {
    Insert(Fd, u32),
    Remove(Fd),
    Change(Fd, u32),
    Take,
}

fn check(table: &FdTable<u32>, model: &BTreeMap<i32, u32>) {
    assert_eq!(table.len(), model.len());
    assert_eq!(table.is_empty(), model.is_empty());
}

fuzz_target!(|operations: Vec<Operation>| {
    let mut table = FdTable::default();
    let mut model = BTreeMap::new();
    for operation in operations {
        match operation {
            Operation::Insert(fd, item) => {
                let fd = fd.number();
                let old = if fd < 0 { None } else { model.insert(fd, item) };
                assert_eq!(table.insert(fd, item), old);
                assert_eq!(table.get(fd), model.get(&fd));
            }
            Operation::Remove(fd) => {
                let fd = fd.number();
                assert_eq!(table.remove(fd), model.remove(&fd));
                assert_eq!(table.get(fd), None);
            }
            Operation::Change(fd, item) => {
                let fd = fd.number();
                let (ours, theirs) = (table.get_mut(fd), model.get_mut(&fd));
                assert_eq!(ours, theirs);
                if let (Some(ours), Some(theirs)) = (ours, theirs) {
                    *ours = item;
                    *theirs = item;
                }
            }
            Operation::Take => {
                let items: Vec<_> = std::mem::take(&mut model).into_values().collect();
                assert_eq!(table.take(), items, "by number");
            }
        }
        check(&table, &model);
    }
    assert!(table.iter().eq(model.iter().map(|(&fd, item)| (fd, item))), "by number");
});
