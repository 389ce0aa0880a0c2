//! Rows of an object in the runtime's SQL.

use js_sys::{Array, Uint8Array};
use wasm_bindgen::prelude::*;

use crate::{
    error::InternalError,
    js::bytes,
    storage::{MAX_VALUE_BYTES, Row, Storage, Write},
};

#[wasm_bindgen]
extern "C" {
    /// The shell's statements over `kv(key BLOB PRIMARY KEY, value BLOB)`.
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

    /// Writes, all or none: an array of pairs, key and value, or `undefined` to delete the key.
    #[wasm_bindgen(method, catch)]
    fn apply(this: &Rows, changes: &Array) -> Result<(), JsValue>;
}

/// A [`Storage`] over an object's SQL.
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
        let cell = |cell: &JsValue| Uint8Array::new(cell).to_vec();
        Ok(cells
            .chunks_exact(2)
            .filter_map(|row| Some((cell(row.first()?), cell(row.get(1)?))))
            .collect())
    }

    fn apply(&mut self, writes: Vec<Write>) -> Result<(), InternalError> {
        let changes = Array::new();
        for Write { key, value } in &writes {
            let value = match value {
                // A Durable Object refuses it, workerd does not.
                Some(value) if value.len() > MAX_VALUE_BYTES => {
                    return Err(InternalError::Storage("row too large"));
                }
                Some(value) => bytes(value),
                None => JsValue::UNDEFINED,
            };
            changes.push(&Array::of2(&bytes(key), &value));
        }
        self.0.apply(&changes).map_err(failed)
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
