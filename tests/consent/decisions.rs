//! Whom a user's decisions allow to claim its KeyPackages (R31, R96, R101, R102).

use mimi_edge::{
    config::{ConsentDefault, ProviderConfig},
    transport::Response,
    wire::KeyMaterialUserCode as Code,
};

use crate::{
    bench::{ALICE, BOB, Bench, CLUB, LOUNGE, Word, phone, said_by_bob, state},
    common::user::{Bob, claim_request, config},
};

/// What the user says, in order, and what a claim for the club, the lounge and no room is told, when
/// the default is to ask and when it is to allow.
type Case = (&'static [(Word, Option<&'static str>)], [Option<Code>; 3], [Option<Code>; 3]);

const OK: Option<Code> = None;
const NO: Option<Code> = Some(Code::NoConsent);
const NOT_HERE: Option<Code> = Some(Code::NoConsentForThisRoom);

const TABLE: &[Case] = &[
    (&[], [NO, NO, NO], [OK, OK, OK]),
    (&[(Word::Grant, None)], [OK, OK, OK], [OK, OK, OK]),
    (&[(Word::Revoke, None)], [NO, NO, NO], [NO, NO, NO]),
    (&[(Word::Grant, Some(CLUB))], [OK, NOT_HERE, NO], [OK, OK, OK]),
    (&[(Word::Revoke, Some(CLUB))], [NO, NO, NO], [NOT_HERE, OK, OK]),
    // The newest of a scope wins.
    (&[(Word::Grant, None), (Word::Revoke, None)], [NO, NO, NO], [NO, NO, NO]),
    (&[(Word::Revoke, None), (Word::Grant, None)], [OK, OK, OK], [OK, OK, OK]),
    (&[(Word::Grant, Some(CLUB)), (Word::Revoke, Some(CLUB))], [NO, NO, NO], [NOT_HERE, OK, OK]),
    (&[(Word::Revoke, Some(CLUB)), (Word::Grant, Some(CLUB))], [OK, NOT_HERE, NO], [OK, OK, OK]),
    // The room's entry before the one for any room, whichever is newer.
    (&[(Word::Grant, None), (Word::Revoke, Some(CLUB))], [NOT_HERE, OK, OK], [NOT_HERE, OK, OK]),
    (&[(Word::Revoke, Some(CLUB)), (Word::Grant, None)], [NOT_HERE, OK, OK], [NOT_HERE, OK, OK]),
    (&[(Word::Revoke, None), (Word::Grant, Some(CLUB))], [OK, NOT_HERE, NO], [OK, NOT_HERE, NO]),
    // Revoke for any room deletes earlier grants for rooms; what was refused stays refused.
    (&[(Word::Grant, Some(CLUB)), (Word::Revoke, None)], [NO, NO, NO], [NO, NO, NO]),
    (
        &[(Word::Grant, Some(CLUB)), (Word::Revoke, None), (Word::Grant, Some(LOUNGE))],
        [NOT_HERE, OK, NO],
        [NOT_HERE, OK, NO],
    ),
    (
        &[(Word::Revoke, Some(CLUB)), (Word::Revoke, None), (Word::Grant, None)],
        [NOT_HERE, OK, OK],
        [NOT_HERE, OK, OK],
    ),
];

#[test]
fn r96_r101_r102_a_claim_is_told_what_the_table_says_whatever_was_requested() {
    for (said, ask, allow) in TABLE {
        for (default, expected) in [(ConsentDefault::Ask, ask), (ConsentDefault::Allow, allow)] {
            // R96: it does not matter whether somebody asked, and for what.
            for requests in [&[][..], &[None], &[Some(CLUB)], &[Some(LOUNGE), None]] {
                let mut bench = Bench::new(default);
                for room in requests {
                    bench.told(Word::Request, ALICE, *room);
                }
                for (word, room) in *said {
                    bench.says(*word, ALICE, *room);
                }
                for (room, code) in [CLUB, LOUNGE, ""].into_iter().zip(expected) {
                    let code = code.unwrap_or(Code::Success);
                    assert_eq!(bench.claim(ALICE, room), code, "{said:?} {default:?} {room:?}");
                    let other = match default {
                        ConsentDefault::Ask => Code::NoConsent,
                        ConsentDefault::Allow => Code::Success,
                    };
                    assert_eq!(bench.claim("eve@alpha.example", room), other, "about Alice alone");
                }
                assert_eq!(bench.claim(BOB, CLUB), Code::Success, "R16: own devices");
            }
        }
    }
}

#[test]
fn r31_consent_is_asked_on_every_claim() {
    let mut bench = Bench::new(ConsentDefault::Ask);
    for _ in 0..2 {
        assert_eq!(bench.claim(ALICE, CLUB), Code::NoConsent);
        bench.says(Word::Grant, ALICE, None);
        assert_eq!(bench.claim(ALICE, CLUB), Code::Success);
        bench.says(Word::Revoke, ALICE, None);
    }
    assert_eq!(bench.claim(ALICE, CLUB), Code::NoConsent);
}

#[test]
fn r102_the_default_is_the_operators() {
    for (consent_default, code) in
        [(ConsentDefault::Allow, Code::Success), (ConsentDefault::Ask, Code::NoConsent)]
    {
        let phone = phone();
        let mut bob = Bob::with_config(ProviderConfig { consent_default, ..config() }, &[&phone]);
        bob.publish(&phone, &[phone.key_package(bob.now)]);
        assert_eq!(bob.claim(&claim_request()).user_status, code);
    }
}

#[test]
fn r101_no_decision_is_dropped_for_another_it_may_be_one_that_refuses() {
    let mut bench = Bench::new(ConsentDefault::Allow);
    for number in 0..1000 {
        assert_eq!(
            bench
                .post(&said_by_bob(Word::Revoke, &format!("u{number}@alpha.example"), None))
                .status,
            200
        );
    }
    let full = state(&mut bench);
    assert_eq!(full.refused.len(), 1000);
    let one_more = said_by_bob(Word::Revoke, "u1000@alpha.example", None);
    assert_eq!(bench.post(&one_more), Response::text(429, "too many requests"));
    assert_eq!(state(&mut bench), full);
    bench.says(Word::Grant, "u0@alpha.example", None);
}
