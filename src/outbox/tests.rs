use super::*;
use crate::storage::{MemoryStorage, Row, Storage, Write};

const NOW: UnixMillis = UnixMillis(1_000_000);

fn filled(outbox: &Outbox, transaction: &mut Transaction<'_>) {
    for (lane, entry) in [("b", "b0"), ("b", "b1"), ("c", "c0")] {
        outbox.enqueue(transaction, lane.as_bytes(), entry.into(), NOW).unwrap();
    }
}

#[test]
fn r82_a_lane_is_delivered_in_order_and_one_request_at_a_time() {
    let storage = MemoryStorage::default();
    let mut transaction = Transaction::new(&storage);
    let mut outbox = Outbox::new(1, 2, 3);
    filled(&outbox, &mut transaction);

    let first = outbox.take_due(&transaction, NOW, 1).unwrap().unwrap();
    assert_eq!((first.lane.as_slice(), &first.entries), (&b"b"[..], &vec![(0, b"b0".to_vec())]));
    // Lane b is in flight: only lane c is left.
    assert_eq!(outbox.take_due(&transaction, NOW, 1).unwrap().unwrap().lane, b"c");
    assert_eq!(outbox.take_due(&transaction, NOW, 1).unwrap(), None);

    outbox.delivered(&mut transaction, b"b", 0, NOW).unwrap();
    let second = outbox.take_due(&transaction, NOW, 9).unwrap().unwrap();
    assert_eq!(second.entries, vec![(1, b"b1".to_vec())]);
    outbox.delivered(&mut transaction, b"b", 1, NOW).unwrap();
    outbox.delivered(&mut transaction, b"c", 0, NOW).unwrap();
    assert_eq!(outbox.waiting(&transaction).unwrap(), 0);
    assert_eq!(outbox.next_due(&transaction).unwrap(), None);
}

#[test]
fn r84_a_failing_lane_waits_alone_and_longer_each_time() {
    let storage = MemoryStorage::default();
    let mut transaction = Transaction::new(&storage);
    let mut outbox = Outbox::new(1, 2, 3);
    filled(&outbox, &mut transaction);

    assert_eq!(outbox.take_due(&transaction, NOW, 1).unwrap().unwrap().lane, b"b");
    outbox.failed(&mut transaction, b"b", NOW, None).unwrap();
    assert_eq!(outbox.take_due(&transaction, NOW, 1).unwrap().unwrap().lane, b"c");
    assert_eq!(outbox.take_due(&transaction, NOW, 1).unwrap(), None);
    assert_eq!(outbox.next_due(&transaction).unwrap(), Some(NOW.plus(500)));

    let again = outbox.take_due(&transaction, NOW.plus(500), 1).unwrap().unwrap();
    assert_eq!(again.attempts, 1);
    outbox.failed(&mut transaction, b"b", NOW, Some(90_000)).unwrap();
    assert_eq!(outbox.next_due(&transaction).unwrap(), Some(NOW.plus(90_000)));
    outbox.retry_now(&mut transaction, NOW).unwrap();
    assert_eq!(outbox.take_due(&transaction, NOW, 1).unwrap().unwrap().lane, b"b");
}

#[test]
fn a_lane_that_is_woken_is_due_and_no_other() {
    let storage = MemoryStorage::default();
    let mut transaction = Transaction::new(&storage);
    let mut outbox = Outbox::new(1, 2, 3);
    filled(&outbox, &mut transaction);
    for lane in [b"b", b"c"] {
        outbox.take_due(&transaction, NOW, 1).unwrap();
        outbox.failed(&mut transaction, lane, NOW, None).unwrap();
    }
    outbox.wake(&mut transaction, b"c", NOW).unwrap();
    assert_eq!(outbox.take_due(&transaction, NOW, 1).unwrap().unwrap().lane, b"c");
    assert_eq!(outbox.take_due(&transaction, NOW, 1).unwrap(), None);
}

#[test]
fn r84_lanes_that_fail_leave_room_for_the_others() {
    let storage = MemoryStorage::default();
    let mut transaction = Transaction::new(&storage);
    let mut outbox = Outbox::new(1, 2, 3);
    let dead = [b"a", b"b", b"c", b"d", b"e"];
    for lane in dead {
        outbox.enqueue(&mut transaction, lane, Vec::new(), NOW).unwrap();
        outbox.take_due(&transaction, NOW, 1).unwrap();
        outbox.failed(&mut transaction, lane, NOW, None).unwrap();
    }
    let later = NOW.plus(500);
    outbox.enqueue(&mut transaction, b"z", Vec::new(), later).unwrap();
    let mut taken = Vec::new();
    while let Some(due) = outbox.take_due(&transaction, later, 1).unwrap() {
        taken.push(due.lane);
    }
    assert_eq!(taken, [b"z", b"a", b"b", b"c"], "the new one first, then three of the old");
    // Nothing can be taken before one of them is back: there is nothing to wake for.
    assert_eq!(outbox.next_due(&transaction).unwrap(), None);
    outbox.failed(&mut transaction, b"a", later, None).unwrap();
    assert_eq!(outbox.take_due(&transaction, later, 1).unwrap().unwrap().lane, b"d");
}

#[test]
fn r82_what_is_in_flight_when_the_owner_stops_is_a_reason_to_wake() {
    let storage = MemoryStorage::default();
    let mut transaction = Transaction::new(&storage);
    let mut outbox = Outbox::new(1, 2, 3);
    outbox.enqueue(&mut transaction, b"b", b"b0".to_vec(), NOW).unwrap();
    outbox.take_due(&transaction, NOW, 1).unwrap();
    assert_eq!(outbox.next_due(&transaction).unwrap(), None);
    assert_eq!(outbox.next_wake(&transaction).unwrap(), Some(NOW.plus(60_000)));
    outbox.delivered(&mut transaction, b"b", 0, NOW).unwrap();
    assert_eq!(outbox.next_wake(&transaction).unwrap(), None);
}

#[test]
fn r82_a_receiver_cannot_stop_a_lane_for_good() {
    let storage = MemoryStorage::default();
    let mut transaction = Transaction::new(&storage);
    let mut outbox = Outbox::new(1, 2, 3);
    outbox.enqueue(&mut transaction, b"b", Vec::new(), NOW).unwrap();
    outbox.take_due(&transaction, NOW, 1).unwrap();
    outbox.failed(&mut transaction, b"b", NOW, Some(u64::MAX)).unwrap();
    let a_day = 24 * 60 * 60 * 1000;
    assert_eq!(outbox.next_due(&transaction).unwrap(), Some(NOW.plus(a_day)));
}

#[test]
fn d22_a_lane_that_is_given_up_forgets_what_waits_and_takes_what_comes_later() {
    let storage = MemoryStorage::default();
    let mut transaction = Transaction::new(&storage);
    let mut outbox = Outbox::new(1, 2, 3);
    filled(&outbox, &mut transaction);
    assert_eq!(outbox.failing(&transaction, b"b").unwrap(), None);
    outbox.failed(&mut transaction, b"b", NOW, None).unwrap();
    outbox.failed(&mut transaction, b"b", NOW.plus(700), None).unwrap();
    let failing = Failing { since: NOW, attempts: 2, given_up: false };
    assert_eq!(outbox.failing(&transaction, b"b").unwrap(), Some(failing));
    let later = NOW.plus(10_000);
    outbox.give_up(&mut transaction, b"b", later).unwrap();
    assert_eq!(outbox.waiting(&transaction).unwrap(), 1, "c's");
    let head = Head { lane: b"c".to_vec(), entry: b"c0".to_vec() };
    assert_eq!(outbox.heads(&transaction).unwrap(), [head]);
    outbox.enqueue(&mut transaction, b"b", b"b2".to_vec(), NOW.plus(800)).unwrap();
    assert_eq!(outbox.take_due(&transaction, later, 9).unwrap().unwrap().lane, b"c");
    assert_eq!(outbox.take_due(&transaction, NOW.plus(9_999), 9).unwrap(), None);
    let due = outbox.take_due(&transaction, later, 9).unwrap().unwrap();
    assert_eq!(due.entries, [(2, b"b2".to_vec())]);
    outbox.delivered(&mut transaction, b"b", 2, later).unwrap();
    assert_eq!(outbox.failing(&transaction, b"b").unwrap(), None);
}

#[test]
fn d22_what_is_skipped_says_nothing_of_the_receiver() {
    let storage = MemoryStorage::default();
    let mut transaction = Transaction::new(&storage);
    let mut outbox = Outbox::new(1, 2, 3);
    filled(&outbox, &mut transaction);
    outbox.failed(&mut transaction, b"b", NOW, None).unwrap();
    outbox.skipped(&mut transaction, b"b", 0).unwrap();
    let failing = outbox.failing(&transaction, b"b").unwrap().unwrap();
    assert_eq!((failing.since, failing.attempts), (NOW, 1));
    // What is empty leaves nothing behind: what comes later is not held against an old failure.
    outbox.skipped(&mut transaction, b"b", 1).unwrap();
    outbox.skipped(&mut transaction, b"c", 0).unwrap();
    assert!(outbox.all_lanes(&transaction).unwrap().is_empty());
    // What was given up is so until something is delivered.
    outbox.enqueue(&mut transaction, b"b", Vec::new(), NOW).unwrap();
    outbox.failed(&mut transaction, b"b", NOW, None).unwrap();
    outbox.give_up(&mut transaction, b"b", NOW).unwrap();
    outbox.enqueue(&mut transaction, b"b", Vec::new(), NOW).unwrap();
    outbox.skipped(&mut transaction, b"b", 1).unwrap();
    assert!(outbox.failing(&transaction, b"b").unwrap().unwrap().given_up);
}

#[test]
fn an_empty_lane_leaves_nothing_behind() {
    let storage = MemoryStorage::default();
    let mut transaction = Transaction::new(&storage);
    let mut outbox = Outbox::new(1, 2, 3);
    filled(&outbox, &mut transaction);
    outbox.delivered(&mut transaction, b"b", 7, NOW).unwrap();
    outbox.delivered(&mut transaction, b"c", 0, NOW).unwrap();
    let kept = transaction.into_changes();
    assert!(kept.iter().all(|write| write.value.is_none()), "{kept:?}");
}

/// Counts the rows that are read.
#[derive(Default)]
struct Counting {
    rows: MemoryStorage,
    read: std::cell::Cell<usize>,
}

impl Storage for Counting {
    fn read(&self, key: &[u8]) -> Result<Option<Vec<u8>>, InternalError> {
        self.read.set(self.read.get() + 1);
        self.rows.read(key)
    }

    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Row>, InternalError> {
        let rows = self.rows.scan(prefix, from, limit)?;
        self.read.set(self.read.get() + rows.len());
        Ok(rows)
    }

    fn apply(&mut self, writes: Vec<Write>) -> Result<(), InternalError> {
        self.rows.apply(writes)
    }
}

#[test]
fn r84_of_many_lanes_only_those_are_read_that_are_due_next() {
    let mut storage = Counting::default();
    let mut outbox = Outbox::new(1, 2, 3);
    let mut transaction = Transaction::new(&storage);
    for number in 0..4000_u32 {
        let lane = number.to_be_bytes();
        outbox.enqueue(&mut transaction, &lane, Vec::new(), NOW).unwrap();
        if number < 2000 {
            outbox.failed(&mut transaction, &lane, NOW.plus(number.into()), None).unwrap();
        }
    }
    let changes = transaction.into_changes();
    storage.apply(changes).unwrap();
    storage.read.set(0);
    let transaction = Transaction::new(&storage);
    for number in 2000..2006_u32 {
        let due = outbox.take_due(&transaction, NOW, 9).unwrap().unwrap();
        assert_eq!(due.lane, number.to_be_bytes());
        assert_eq!(outbox.next_due(&transaction).unwrap(), Some(NOW));
    }
    assert!(storage.read.get() < 200, "{}", storage.read.get());
}

fn sharing() -> Outbox {
    Outbox::new(1, 2, 3).sharing(4)
}

fn lanes(names: &[&str]) -> Vec<Vec<u8>> {
    names.iter().map(|name| name.as_bytes().to_vec()).collect()
}

/// The rows that a storage would be given.
fn rows(transaction: Transaction<'_>) -> usize {
    transaction.into_changes().iter().filter(|write| write.value.is_some()).count()
}

#[test]
fn r82_r84_an_entry_for_many_lanes_is_one_row_and_each_lane_has_its_own_order() {
    let storage = MemoryStorage::default();
    let mut transaction = Transaction::new(&storage);
    let mut outbox = sharing();
    let all: Vec<String> = (0..100).map(|number| format!("{number:03}")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    outbox.enqueue_shared(&mut transaction, lanes(&all), 2, b"two".to_vec(), NOW).unwrap();
    outbox.enqueue_shared(&mut transaction, lanes(&["007"]), 3, b"three".to_vec(), NOW).unwrap();
    assert_eq!(outbox.waiting(&transaction).unwrap(), 101);
    assert_eq!(outbox.next_due(&transaction).unwrap(), Some(UnixMillis(0)));
    for lane in &all {
        let due = outbox.take_due(&transaction, NOW, 9).unwrap().unwrap();
        assert_eq!(due.lane, lane.as_bytes());
        let mut expected = vec![(2, b"two".to_vec())];
        if *lane == "007" {
            expected.push((3, b"three".to_vec()));
        }
        assert_eq!((due.entries, due.attempts), (expected, 0));
    }
    assert_eq!(outbox.take_due(&transaction, NOW, 9).unwrap(), None);
    for lane in &all {
        outbox.delivered(&mut transaction, lane.as_bytes(), 2, NOW).unwrap();
    }
    let due = outbox.take_due(&transaction, NOW, 9).unwrap().unwrap();
    assert_eq!((due.lane.as_slice(), due.entries), (&b"007"[..], vec![(3, b"three".to_vec())]));
    outbox.delivered(&mut transaction, b"007", 3, NOW).unwrap();
    assert_eq!(outbox.waiting(&transaction).unwrap(), 0);
    assert_eq!(rows(transaction), 0, "nothing is left behind");

    let mut transaction = Transaction::new(&storage);
    outbox.enqueue_shared(&mut transaction, lanes(&all), 4, Vec::new(), NOW).unwrap();
    assert_eq!(rows(transaction), 1);
}

#[test]
fn r84_a_lane_that_fails_takes_its_shared_entries_along_and_the_others_go_on() {
    let mut storage = MemoryStorage::default();
    let mut transaction = Transaction::new(&storage);
    let mut outbox = sharing();
    for number in [2, 4] {
        let entry = vec![number];
        let both = lanes(&["b", "c"]);
        outbox.enqueue_shared(&mut transaction, both, number.into(), entry, NOW).unwrap();
    }
    assert_eq!(outbox.take_due(&transaction, NOW, 1).unwrap().unwrap().lane, b"b");
    outbox.failed(&mut transaction, b"b", NOW, None).unwrap();
    // What comes now goes behind what it has already.
    outbox.enqueue_shared(&mut transaction, lanes(&["b", "c"]), 6, vec![6], NOW).unwrap();
    let changes = transaction.into_changes();
    storage.apply(changes).unwrap();

    // After a restart too.
    let mut outbox = sharing();
    let mut transaction = Transaction::new(&storage);
    assert_eq!(outbox.waiting(&transaction).unwrap(), 6);
    let due = outbox.take_due(&transaction, NOW, 9).unwrap().unwrap();
    let contents = |due: &Due| due.entries.iter().flat_map(|(_, entry)| entry.clone()).collect();
    let sent: Vec<u8> = contents(&due);
    assert_eq!((due.lane.as_slice(), sent), (&b"c"[..], vec![2, 4, 6]));
    outbox.delivered(&mut transaction, b"c", 6, NOW).unwrap();
    assert_eq!(outbox.take_due(&transaction, NOW, 9).unwrap(), None);
    let again = outbox.take_due(&transaction, NOW.plus(500), 9).unwrap().unwrap();
    let sent: Vec<u8> = contents(&again);
    assert_eq!((again.lane.as_slice(), sent, again.attempts), (&b"b"[..], vec![2, 4, 6], 1));
    let last = again.entries.last().unwrap().0;
    outbox.delivered(&mut transaction, b"b", last, NOW).unwrap();
    outbox.enqueue_shared(&mut transaction, lanes(&["b", "c"]), 8, vec![8], NOW).unwrap();
    let heads = outbox.heads(&transaction).unwrap();
    assert!(heads.iter().all(|head| head.entry == [8]) && heads.len() == 2, "healthy again");
}

#[test]
fn a_transaction_that_is_dropped_takes_its_shared_entries_with_it() {
    let storage = MemoryStorage::default();
    let mut outbox = sharing();
    let mut transaction = Transaction::new(&storage);
    outbox.enqueue_shared(&mut transaction, lanes(&["b"]), 2, Vec::new(), NOW).unwrap();
    drop(transaction);
    outbox.forget();
    assert_eq!(outbox.waiting(&Transaction::new(&storage)).unwrap(), 0);
}

#[test]
fn r82_waits_after_failures_are_spread_by_up_to_a_quarter_and_always_the_same() {
    let waits = |outbox: &Outbox| -> Vec<u64> {
        let attempts = 0..20;
        attempts.map(|attempt| outbox.spread(b"lane", attempt, 125)).collect()
    };
    let (one, other) = (sharing().spread_by("one"), sharing().spread_by("other"));
    assert!(waits(&one).iter().all(|wait| *wait <= 125));
    assert_eq!(waits(&one), waits(&sharing().spread_by("one")));
    assert_ne!(waits(&one), waits(&other));
    assert_ne!(waits(&one)[0], waits(&one)[1]);

    let storage = MemoryStorage::default();
    let mut transaction = Transaction::new(&storage);
    let mut outbox = one;
    outbox.enqueue(&mut transaction, b"lane", Vec::new(), NOW).unwrap();
    outbox.failed(&mut transaction, b"lane", NOW, None).unwrap();
    let due = outbox.next_due(&transaction).unwrap().unwrap();
    assert!((NOW.plus(500)..=NOW.plus(625)).contains(&due), "{due:?}");
}
