use super::*;
use crate::{error::Error, storage::MemoryStorage};

pub(super) const LOG: RoomLog = RoomLog::new(LogTables {
    events: 1,
    windows: 2,
    activity: 3,
    end: 4,
    forgotten: 5,
    readers: 6,
    days: 7,
    along: 8,
});

pub(super) fn room() -> RoomUri {
    RoomUri::parse("clubhouse@alpha.example").unwrap()
}

pub(super) fn device(text: &str) -> ClientUri {
    ClientUri::parse(text).unwrap()
}

/// A PrivateMessage of RFC 9420 §6.3 with empty ciphertext.
pub(super) fn private(timestamp: u64) -> FanoutMessage {
    let mut bytes = vec![0, 1, 0, 2, 1, b'g'];
    bytes.extend(0_u64.to_be_bytes());
    bytes.extend([1, 0, 0, 0]);
    fanout(bytes, timestamp)
}

/// A PublicMessage of RFC 9420 §6.2: leaf 0 proposes to remove leaf 1.
pub(super) fn handshake(timestamp: u64) -> FanoutMessage {
    let mut bytes = vec![0, 1, 0, 1, 1, b'g'];
    bytes.extend(0_u64.to_be_bytes());
    bytes.extend([1, 0, 0, 0, 0, 0, 2, 0, 3, 0, 0, 0, 1, 0, 0]);
    fanout(bytes, timestamp)
}

fn fanout(mut bytes: Vec<u8>, timestamp: u64) -> FanoutMessage {
    bytes.extend(timestamp.to_be_bytes());
    decode_exact(&bytes).unwrap()
}

fn seen(transaction: &Transaction<'_>, who: &ClientUri, after: u64) -> Vec<(u64, u64)> {
    let page = LOG.page(transaction, &room(), who, after, MAX_PAGE_EVENTS).unwrap();
    page.events.iter().map(|event| (event.previous, event.position)).collect()
}

fn pushed(pushes: &[Push]) -> Vec<(String, Vec<String>, FromProvider)> {
    let text = |push: &Push| {
        let devices = push.devices.iter().map(ToString::to_string).collect();
        (push.user.to_string(), devices, push.frame.clone())
    };
    pushes.iter().map(text).collect()
}

#[test]
fn d11_a_device_reads_its_windows_and_nothing_else() {
    let storage = MemoryStorage::default();
    let transaction = &mut Transaction::new(&storage);
    let phone = device("bob@bravo.example/phone");
    LOG.record_activity(transaction, &phone.user(), 0, Activity::Active).unwrap();
    for position in 1..=9 {
        assert_eq!(LOG.append(transaction, &private(position)).unwrap(), position);
        match position {
            2 | 6 => LOG.open_window(transaction, &phone, position).unwrap(),
            4 => LOG.close_window(transaction, &phone, position).unwrap(),
            _ => {}
        }
    }
    assert_eq!(LOG.end(transaction).unwrap(), 9);
    assert_eq!(seen(transaction, &phone, 0), [(0, 3), (3, 4), (4, 7), (7, 8), (8, 9)]);
    assert_eq!(seen(transaction, &phone, 5), [(4, 7), (7, 8), (8, 9)]);
    assert_eq!(seen(transaction, &phone, 8), [(8, 9)]);
    assert_eq!(seen(transaction, &phone, 90), []);
}

#[test]
fn d11_messages_are_withheld_while_the_user_is_not_active() {
    let storage = MemoryStorage::default();
    let transaction = &mut Transaction::new(&storage);
    let phone = device("bob@bravo.example/phone");
    LOG.open_window(transaction, &phone, 0).unwrap();
    LOG.record_activity(transaction, &phone.user(), 0, Activity::Active).unwrap();
    // 1 private, 2 handshake that bans, 3 private, 4 handshake, 5 and 6 private, 7 lifts the ban.
    for position in 1..=9 {
        let message =
            if [2, 4, 7].contains(&position) { handshake(position) } else { private(position) };
        LOG.append(transaction, &message).unwrap();
        let activity = match position {
            2 => Activity::Inactive,
            7 => Activity::Active,
            _ => continue,
        };
        LOG.record_activity(transaction, &phone.user(), position, activity).unwrap();
    }
    assert_eq!(seen(transaction, &phone, 0), [(0, 1), (1, 2), (2, 4), (4, 7), (7, 8), (8, 9)]);
    assert_eq!(seen(transaction, &phone, 5), [(4, 7), (7, 8), (8, 9)]);
    assert_eq!(pushed(&LOG.push(transaction, &room(), 6, |_| true).unwrap()), []);
    assert_eq!(LOG.activity(transaction, &phone.user()).unwrap(), Activity::Active);
}

#[test]
fn d11_a_user_of_whom_nothing_was_said_gets_no_messages() {
    let storage = MemoryStorage::default();
    let transaction = &mut Transaction::new(&storage);
    let phone = device("bob@bravo.example/phone");
    LOG.open_window(transaction, &phone, 0).unwrap();
    LOG.append(transaction, &private(1)).unwrap();
    LOG.append(transaction, &handshake(2)).unwrap();
    assert_eq!(seen(transaction, &phone, 0), [(0, 2)]);
}

#[test]
fn d11_a_device_without_a_window_is_refused() {
    let storage = MemoryStorage::default();
    let transaction = &mut Transaction::new(&storage);
    LOG.append(transaction, &handshake(1)).unwrap();
    let refused = LOG.page(transaction, &room(), &device("eve@bravo.example/x"), 0, 9);
    assert!(matches!(refused, Err(Error::Protocol(ProtocolError::NotAllowed(_)))), "{refused:?}");
}

#[test]
fn d11_a_page_ends_at_the_limit_and_says_so() {
    let storage = MemoryStorage::default();
    let transaction = &mut Transaction::new(&storage);
    let phone = device("bob@bravo.example/phone");
    LOG.open_window(transaction, &phone, 0).unwrap();
    for position in 1..=300 {
        LOG.append(transaction, &handshake(position)).unwrap();
    }
    let page = LOG.page(transaction, &room(), &phone, 0, usize::MAX).unwrap();
    assert_eq!((page.events.len(), page.end, page.more, page.gap), (256, 300, true, false));
    let rest = LOG.page(transaction, &room(), &phone, 256, usize::MAX).unwrap();
    assert_eq!((rest.events.len(), rest.end, rest.more, rest.gap), (44, 300, false, false));
    assert_eq!(rest.events[0].previous, 256);
}

#[test]
fn d11_devices_that_see_the_same_frame_share_a_push() {
    let storage = MemoryStorage::default();
    let transaction = &mut Transaction::new(&storage);
    let [phone, tablet] = ["phone", "tablet"].map(|d| device(&format!("bob@bravo.example/{d}")));
    let late = device("bob@bravo.example/late");
    let other = device("bea@bravo.example/phone");
    for who in [&phone, &tablet, &other] {
        LOG.open_window(transaction, who, 0).unwrap();
        LOG.record_activity(transaction, &who.user(), 0, Activity::Active).unwrap();
    }
    LOG.append(transaction, &handshake(1)).unwrap();
    LOG.open_window(transaction, &late, 1).unwrap();
    LOG.append(transaction, &private(2)).unwrap();
    let event = |previous| {
        FromProvider::Event(LogEvent {
            room_id: room().to_wire(),
            position: 2,
            previous,
            message: private(2),
        })
    };
    let effects = LOG.push(transaction, &room(), 2, |_| true).unwrap();
    assert_eq!(
        pushed(&effects),
        [
            ("bea@bravo.example".into(), vec![other.to_string()], event(1)),
            ("bob@bravo.example".into(), vec![late.to_string()], event(0)),
            ("bob@bravo.example".into(), vec![phone.to_string(), tablet.to_string()], event(1)),
        ]
    );
    // The Commit that removes a leaf is the last that it gets (R83).
    LOG.append(transaction, &handshake(3)).unwrap();
    LOG.close_window(transaction, &other, 3).unwrap();
    let users: Vec<String> = pushed(&LOG.push(transaction, &room(), 3, |_| true).unwrap())
        .into_iter()
        .map(|(user, ..)| user)
        .collect();
    assert_eq!(users, ["bea@bravo.example", "bob@bravo.example"]);
    LOG.append(transaction, &handshake(4)).unwrap();
    let effects = LOG.push(transaction, &room(), 4, |_| true).unwrap();
    assert!(pushed(&effects).iter().all(|(user, ..)| user == "bob@bravo.example"));
}

#[test]
fn d22_a_gap_is_told_to_the_devices_that_read_what_follows_it() {
    let storage = MemoryStorage::default();
    let transaction = &mut Transaction::new(&storage);
    let [gone, here, new] =
        ["gone", "here", "new"].map(|d| device(&format!("bob@bravo.example/{d}")));
    for who in [&gone, &here] {
        LOG.open_window(transaction, who, 0).unwrap();
    }
    LOG.close_window(transaction, &gone, 0).unwrap();
    LOG.append(transaction, &handshake(1)).unwrap();
    LOG.open_window(transaction, &new, 1).unwrap();
    assert_eq!(
        pushed(&LOG.push_gap(transaction, &room(), 1).unwrap()),
        [(
            "bob@bravo.example".into(),
            vec![here.to_string()],
            FromProvider::Gap { room_id: room().to_wire() }
        )]
    );
}
