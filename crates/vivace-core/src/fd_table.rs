//! Who is to hear of a file descriptor: a table by number.

/// What is known of each descriptor.
pub struct FdTable<T> {
    slots: Vec<Option<T>>,
    used: usize,
}

impl<T> Default for FdTable<T> {
    fn default() -> Self {
        Self { slots: Vec::new(), used: 0 }
    }
}

impl<T> FdTable<T> {
    /// What is held for a descriptor.
    #[inline]
    pub fn get(&self, fd: i32) -> Option<&T> {
        self.slots.get(usize::try_from(fd).ok()?)?.as_ref()
    }

    /// What is held for a descriptor, to be changed.
    #[inline]
    pub fn get_mut(&mut self, fd: i32) -> Option<&mut T> {
        self.slots.get_mut(usize::try_from(fd).ok()?)?.as_mut()
    }

    /// Holds `item` for a descriptor; what was held is handed back.
    pub fn insert(&mut self, fd: i32, item: T) -> Option<T> {
        let index = usize::try_from(fd).ok()?;
        if index >= self.slots.len() {
            self.slots.resize_with(index + 1, || None);
        }
        let old = self.slots[index].replace(item);
        self.used += usize::from(old.is_none());
        old
    }

    /// Forgets a descriptor; what was held is handed back.
    pub fn remove(&mut self, fd: i32) -> Option<T> {
        let old = self.slots.get_mut(usize::try_from(fd).ok()?)?.take();
        self.used -= usize::from(old.is_some());
        old
    }

    /// How many descriptors are held.
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Takes all, to be dropped by the caller.
    pub fn take(&mut self) -> Vec<T> {
        self.used = 0;
        std::mem::take(&mut self.slots).into_iter().flatten().collect()
    }

    /// Each descriptor with what is held for it.
    pub fn iter(&self) -> impl Iterator<Item = (i32, &T)> {
        self.slots.iter().enumerate().filter_map(|(fd, slot)| Some((fd as i32, slot.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_replaces_and_forgets() {
        let mut table = FdTable::default();
        assert_eq!(table.insert(3, 'a'), None);
        assert_eq!(table.insert(3, 'b'), Some('a'));
        assert_eq!(table.len(), 1);
        assert_eq!(table.get(3), Some(&'b'));
        assert_eq!(table.get(4), None);
        assert_eq!(table.get(-1), None);
        assert_eq!(table.remove(3), Some('b'));
        assert_eq!(table.remove(3), None);
        assert!(table.is_empty());
    }

    #[test]
    fn a_negative_descriptor_is_not_held() {
        let mut table = FdTable::default();
        assert_eq!(table.insert(-1, 'a'), None);
        assert!(table.is_empty());
    }
}
