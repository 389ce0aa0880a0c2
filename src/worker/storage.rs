//! Rows of an object in the runtime's SQL.

use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;

use crate::{
    error::InternalError,
    storage::{Row, Storage, Write},
};

/// Largest value of a row, in bytes: a Durable Object refuses rows of more than 2 MB, workerd does
/// not, so we do.
const MAX_VALUE_BYTES: usize = 2_000_000 - 1024;

#[wasm_bindgen]
extern "C" {
    /// The shell's four statements over `kv(key BLOB PRIMARY KEY, value BLOB)`.
    #[wasm_bindgen(typescript_type = "Rows")]
    pub type Rows;

    #[wasm_bindgen(method, catch)]
    fn read(this: &Rows, key: &[u8]) -> Result<Option<Uint8Array>, JsValue>;

    /// Rows from `from` on and before `before` (none: to the end), as an array of keys and values in
    /// turn; a negative limit is none.
    #[wasm_bindgen(method, catch)]
    fn scan(
        this: &Rows,
        from: &[u8],
        before: Option<Vec<u8>>,
        limit: i32,
    ) -> Result<Array, JsValue>;

    #[wasm_bindgen(method, catch)]
    fn write(this: &Rows, key: &[u8], value: &[u8]) -> Result<(), JsValue>;

    #[wasm_bindgen(method, catch)]
    fn remove(this: &Rows, key: &[u8]) -> Result<(), JsValue>;
}

/// A [`Storage`] over an object's SQL. The shell wraps each call of the core in `transactionSync`:
/// when `apply` fails half-way, the shell's exception rolls everything back.
pub(super) struct SqlStorage(pub(super) Rows);

fn failed(_: JsValue) -> InternalError {
    InternalError::Storage("sql")
}

impl Storage for SqlStorage {
    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, InternalError> {
        Ok(self.0.read(key).map_err(failed)?.map(|value| value.to_vec()))
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Row>, InternalError> {
        let limit = i32::try_from(limit).unwrap_or(-1);
        let cells =
            self.0.scan(prefix.max(from), after_prefix(prefix), limit).map_err(failed)?.to_vec();
        let bytes = |cell: &JsValue| Uint8Array::new(cell).to_vec();
        Ok(cells
            .chunks_exact(2)
            .filter_map(|row| Some((bytes(row.first()?), bytes(row.get(1)?))))
            .collect())
    }

    fn apply(&mut self, writes: Vec<Write>) -> Result<(), InternalError> {
        for Write { key, value } in writes {
            match value {
                Some(value) if value.len() > MAX_VALUE_BYTES => {
                    return Err(InternalError::Storage("row too large"));
                }
                Some(value) => self.0.write(&key, &value).map_err(failed)?,
                None => self.0.remove(&key).map_err(failed)?,
            }
        }
        Ok(())
    }
}

/// The first key after all that start with `prefix`; `None` when there is none.
fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let kept = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut after = prefix.get(..=kept)?.to_vec();
    let last = after.last_mut()?;
    *last += 1;
    Some(after)
}
