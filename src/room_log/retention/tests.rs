use super::*;
use crate::{
    error::InternalError,
    room_log::{
        Activity, MAX_PAGE_EVENTS,
        tests::{LOG, device, handshake, private, room},
    },
    storage::MemoryStorage,
    wire::{EventPage, FanoutMessage},
};

const NOW: UnixMillis = UnixMillis(20_000 * DAY_MILLIS);
const RETENTION: Retention =
    Retention { give_up_millis: 0, log_millis: 28 * DAY_MILLIS, log_events: 1000 };

/// A row that goes along with the event at `position`.
fn along(position: u64) -> Vec<u8> {
    Key::table(99).number(position).build()
}

/// An event comes, and a row with it; the log is tended as its owner does it.
fn come(
    transaction: &mut Transaction<'_>,
    message: &FanoutMessage,
    now: UnixMillis,
    sent: Option<u64>,
) {
    let position = LOG.end(transaction).unwrap() + 1;
    LOG.forget_along(transaction, &along(position)).unwrap();
    transaction.write(along(position), Vec::new());
    LOG.append(transaction, message).unwrap();
    if LOG.is_due(transaction, now).unwrap() {
        LOG.trim(transaction, now, &RETENTION, sent).unwrap();
    }
}

/// So many handshakes come.
fn come_many(transaction: &mut Transaction<'_>, count: u64, now: UnixMillis, sent: Option<u64>) {
    for _ in 0..count {
        come(transaction, &handshake(1), now, sent);
    }
}

fn page(transaction: &Transaction<'_>, who: &ClientUri, after: u64) -> EventPage {
    LOG.page(transaction, &room(), who, after, MAX_PAGE_EVENTS).unwrap()
}

/// The first position that is still there, and the first of the rows that went along.
fn first_kept(transaction: &Transaction<'_>) -> Result<(u64, u64), InternalError> {
    let first = |table: u8| {
        let rows = transaction.scan(&[table], &[table], 1)?;
        number_at_end(&rows[0].0)
    };
    Ok((first(LOG.tables.events)?, first(99)?))
}

#[test]
fn d22_r67_r82_what_every_device_has_is_forgotten_but_its_hash_is_not() {
    let storage = MemoryStorage::default();
    let transaction = &mut Transaction::new(&storage);
    let [phone, tablet] = ["phone", "tablet"].map(|d| device(&format!("bob@bravo.example/{d}")));
    LOG.open_window(transaction, &phone, 0).unwrap();
    LOG.open_window(transaction, &tablet, 0).unwrap();
    come_many(transaction, 100, NOW, None);
    assert_eq!(first_kept(transaction).unwrap(), (1, 1));
    LOG.acknowledge(transaction, &phone, 100).unwrap();
    LOG.acknowledge(transaction, &tablet, 70).unwrap();
    come_many(transaction, 28, NOW, None);
    assert_eq!(first_kept(transaction).unwrap(), (71, 1));
    let rest = page(transaction, &tablet, 70);
    assert_eq!((rest.gap, rest.events.len(), rest.events[0].previous), (false, 58, 70));
    let rest = page(transaction, &phone, 100);
    assert_eq!((rest.gap, rest.events.len(), rest.events[0].previous), (false, 28, 100));
    // One that says less than it said before has lost something.
    let rest = page(transaction, &tablet, 69);
    assert_eq!((rest.gap, rest.events.len(), rest.events[0].position), (true, 58, 71));
}

#[test]
fn d22_a_lane_that_lacks_an_event_keeps_it() {
    let storage = MemoryStorage::default();
    let transaction = &mut Transaction::new(&storage);
    come_many(transaction, 63, NOW, Some(10));
    come(transaction, &handshake(1), NOW, Some(10));
    assert_eq!(first_kept(transaction).unwrap(), (11, 1));
    come_many(transaction, 64, NOW, Some(90));
    assert_eq!(first_kept(transaction).unwrap(), (91, 1));
}

#[test]
fn d22_after_28_days_nobody_is_waited_for() {
    let storage = MemoryStorage::default();
    let transaction = &mut Transaction::new(&storage);
    let phone = device("bob@bravo.example/phone");
    LOG.open_window(transaction, &phone, 0).unwrap();
    come_many(transaction, 5, NOW, Some(0));
    come_many(transaction, 5, NOW.plus(DAY_MILLIS), Some(0));
    come(transaction, &handshake(1), NOW.plus(28 * DAY_MILLIS), Some(0));
    assert_eq!(first_kept(transaction).unwrap(), (1, 1), "not longer than 28 days");
    come(transaction, &handshake(1), NOW.plus(29 * DAY_MILLIS), Some(0));
    assert_eq!(first_kept(transaction).unwrap(), (6, 6));
    assert!(page(transaction, &phone, 4).gap);
    assert!(!page(transaction, &phone, 5).gap);
    come(transaction, &handshake(1), NOW.plus(60 * DAY_MILLIS), Some(0));
    assert_eq!(first_kept(transaction).unwrap(), (13, 13));
}

#[test]
fn d22_of_more_than_n_events_the_last_n_are_kept() {
    let storage = MemoryStorage::default();
    let transaction = &mut Transaction::new(&storage);
    let phone = device("bob@bravo.example/phone");
    LOG.open_window(transaction, &phone, 0).unwrap();
    come_many(transaction, 20 * STRIDE, NOW, Some(0));
    assert_eq!(first_kept(transaction).unwrap(), (20 * STRIDE - 999, 20 * STRIDE - 999));
}

#[test]
fn d22_d11_what_a_device_could_not_see_is_no_gap_for_it() {
    let storage = MemoryStorage::default();
    let transaction = &mut Transaction::new(&storage);
    let phone = device("bob@bravo.example/phone");
    LOG.open_window(transaction, &phone, 2).unwrap();
    LOG.record_activity(transaction, &phone.user(), 0, Activity::Active).unwrap();
    come_many(transaction, 3, NOW, None);
    LOG.record_activity(transaction, &phone.user(), 3, Activity::Inactive).unwrap();
    for _ in 3..STRIDE - 1 {
        come(transaction, &private(1), NOW, None);
    }
    LOG.acknowledge(transaction, &phone, 3).unwrap();
    assert_eq!(LOG.reader(transaction, &phone).unwrap(), Reader::default(), "too few to note");
    // Too old: everything so far goes.
    come(transaction, &handshake(1), NOW.plus(40 * DAY_MILLIS), None);
    assert_eq!(first_kept(transaction).unwrap().0, STRIDE);
    let rest = page(transaction, &phone, 3);
    assert_eq!((rest.gap, rest.events.len(), rest.events[0].previous), (false, 1, 3));
    assert!(page(transaction, &phone, 2).gap);
}

#[test]
fn d22_only_readers_of_the_log_acknowledge_and_only_what_is_there() {
    let storage = MemoryStorage::default();
    let transaction = &mut Transaction::new(&storage);
    let [phone, stranger] = ["phone", "other"].map(|d| device(&format!("bob@bravo.example/{d}")));
    LOG.open_window(transaction, &phone, 0).unwrap();
    come_many(transaction, 100, NOW, None);
    LOG.acknowledge(transaction, &phone, u64::MAX).unwrap();
    LOG.acknowledge(transaction, &stranger, 100).unwrap();
    let acknowledged = |who| LOG.reader(transaction, who).unwrap().acknowledged;
    assert_eq!((acknowledged(&phone), acknowledged(&stranger)), (100, 0));
}

#[test]
fn d22_r82_a_log_that_nobody_reads_keeps_its_last_event_and_all_hashes() {
    let storage = MemoryStorage::default();
    let transaction = &mut Transaction::new(&storage);
    come_many(transaction, 2 * STRIDE, NOW, None);
    assert_eq!(LOG.forgotten(transaction).unwrap(), 2 * STRIDE - 1);
    assert_eq!(first_kept(transaction).unwrap(), (2 * STRIDE, 1));
    come(transaction, &private(1), NOW, None);
    assert_eq!(LOG.end(transaction).unwrap(), 2 * STRIDE + 1);
}
