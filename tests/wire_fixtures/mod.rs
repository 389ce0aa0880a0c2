//! What the wire tests share: an encoder by hand, and MLS objects made by openmls.

#![allow(dead_code, reason = "each test binary uses its part")]

pub mod hand;
pub mod mls;
pub mod samples;
