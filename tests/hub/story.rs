//! The draft's story as the hub sees it.

use crate::common::{
    hub::{Hub, Sent, accepted_at, provider},
    member::member,
};

/// Alice creates the room and adds Bob, Bob adds Cathy, Cathy sends a message.
#[test]
fn the_drafts_story_reaches_everybody() {
    let (mut hub, mut alice, mut bob) = Hub::with_alice_and_bob();
    let mut cathy = member("cathy@charlie.example/laptop");

    let upload = hub.addition(&mut bob, &mut cathy);
    hub.accept(provider("bravo.example"), &upload);
    bob.merge_own();
    let sent = hub.deliver();
    let [Sent::Notify { to: first, label, .. }, Sent::Notify { to: second, .. }] = &sent[..] else {
        panic!("{sent:?}")
    };
    assert_eq!((first.as_str(), second.as_str()), ("bravo.example", "charlie.example"));
    assert!(label.starts_with("commit ") && label.ends_with(" kB"), "{label}");
    let commit = &sent[0].fanout()[0];
    alice.process(commit);
    cathy.enter(&sent[1].welcome_for(&cathy.client).unwrap());

    let body = cathy.message("hello");
    let response = hub.submit(provider("charlie.example"), body);
    let timestamp = accepted_at(&response);
    let sent = hub.deliver();
    for (member, to) in [(&mut bob, "bravo.example"), (&mut cathy, "charlie.example")] {
        let message = sent
            .iter()
            .find(|sent| matches!(sent, Sent::Notify { to: other, .. } if other == to))
            .unwrap()
            .fanout();
        assert_eq!((message.len(), message[0].timestamp), (1, timestamp));
        if to == "bravo.example" {
            assert_eq!(member.process(&message[0]).unwrap(), b"hello");
        }
    }
    assert_eq!([alice.epoch(), bob.epoch(), cathy.epoch()], [2, 2, 2]);
    let list = alice.list();
    assert_eq!((bob.list(), cathy.list()), (list.clone(), list.clone()));
    assert_eq!(list.participants.len(), 3);
}
