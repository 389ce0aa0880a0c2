//! A trap on demand, for tests of what the package does about one (feature `testing` only; no package
//! has it).

use wasm_bindgen::prelude::*;

use super::ClientCore;

#[wasm_bindgen]
impl ClientCore {
    /// Traps, as a fault of this software would.
    pub fn trap(&mut self) {
        // On wasm32 this is the instruction `unreachable`.
        std::process::abort()
    }
}
