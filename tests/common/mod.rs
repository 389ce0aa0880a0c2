//! What several tests share. Each test binary uses a part of it.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

pub mod clock;
pub mod follower;
pub mod group;
pub mod hub;
pub mod member;
pub mod own_group;
pub mod proposals;
pub mod scene;
pub mod storage;
pub mod universe;
pub mod user;
