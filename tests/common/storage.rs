//! A storage that a test can look into while an object owns it.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use mimi_edge::{
    error::InternalError,
    storage::{MemoryStorage, Row, Storage, Write},
};

/// Rows shared between an object and the test; a clone sees the same rows.
#[derive(Debug, Clone, Default)]
pub struct SharedStorage(
    pub Rc<RefCell<MemoryStorage>>,
    Rc<Cell<bool>>,
    /// The bytes of each row that was written last.
    Rc<RefCell<Vec<usize>>>,
);

impl SharedStorage {
    /// What is stored now, to be compared later.
    pub fn snapshot(&self) -> MemoryStorage {
        self.0.borrow().clone()
    }

    /// The length of each row that the last step wrote; deletions count nothing.
    pub fn last_written(&self) -> Vec<usize> {
        self.2.borrow().clone()
    }

    /// The next write fails.
    pub fn fail_next_write(&self) {
        self.1.set(true);
    }
}

impl Storage for SharedStorage {
    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, InternalError> {
        self.0.borrow().read(key)
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Row>, InternalError> {
        self.0.borrow().scan(prefix, from, limit)
    }

    fn apply(&mut self, writes: Vec<Write>) -> Result<(), InternalError> {
        if self.1.replace(false) {
            return Err(InternalError::Storage("as the test asked"));
        }
        let rows = writes.iter().filter_map(|write| Some(write.value.as_ref()?.len()));
        *self.2.borrow_mut() = rows.collect();
        self.0.borrow_mut().apply(writes)
    }
}
