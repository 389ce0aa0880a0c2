//! Disorder: random stories of up to six clients at three providers on a network that drops,
//! duplicates and reorders, with pages and providers that die meanwhile. Whatever happened, in the
//! end all agree, and every message that the hub accepted was delivered exactly once.
//!
//! `STORM_SEEDS` and `STORM_FROM` choose the seeds, `STORM_TRACE` shows each step of them;
//! `npm run storm` sets them.
#![cfg(not(target_arch = "wasm32"))]

#[path = "../common/mod.rs"]
mod common;

mod actions;
mod check;
mod world;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, Ordering},
};

use check::Figures;
use world::World;

/// How many seeds a run without a wish takes.
const SEEDS: u64 = 500;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// One story from its seed to its end; panics when something in it is not as it should be.
fn play(seed: u64) -> (Figures, Vec<String>) {
    let mut world = World::new(seed);
    for _ in 0..world.steps {
        world.step();
    }
    world.settle();
    let figures = check::all(&mut world);
    (figures, world.trace)
}

#[test]
fn r47_r59_r67_r75_r82_d6_d20_every_storm_ends_in_agreement() {
    let seeds = number("STORM_SEEDS").unwrap_or(SEEDS);
    let from = number("STORM_FROM").unwrap_or(1);
    let next = AtomicU64::new(from);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let outcomes: Vec<(Figures, Vec<u64>)> = std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..threads).map(|_| scope.spawn(|| work(&next, from + seeds))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    let mut total = Figures::default();
    let mut failed = Vec::new();
    for (figures, seeds) in outcomes {
        total += figures;
        failed.extend(seeds);
    }
    failed.sort_unstable();
    println!("storm: {seeds} seeds from {from}: {total}");
    assert!(failed.is_empty(), "storm: seeds that fail: {failed:?}");
}

/// Takes seeds until there are none; gives the figures and the seeds that failed.
fn work(next: &AtomicU64, end: u64) -> (Figures, Vec<u64>) {
    let mut total = Figures::default();
    let mut failed = Vec::new();
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return (total, failed);
        }
        match catch_unwind(AssertUnwindSafe(|| play(seed))) {
            Ok((figures, _)) => total += figures,
            Err(_) => {
                println!("storm: seed {seed} fails");
                failed.push(seed);
            }
        }
    }
}

#[test]
fn a_seed_reproduces_its_storm() {
    for seed in [3, 77] {
        let (_, first) = play(seed);
        let (_, second) = play(seed);
        assert_eq!(first, second, "seed {seed}");
    }
}
