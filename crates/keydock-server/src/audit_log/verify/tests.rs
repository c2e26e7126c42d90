//! Attacks on a chain, at every place of it.

use zeroize::Zeroizing;

use super::{super::chain::Record, *};

/// How many events the chain has, so how many places there are to attack.
const LENGTH: i64 = 220;

/// What the attacker can do: they have the database, and perhaps they know how hashes are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Skill {
    /// Changes rows and leaves it at that.
    Naive,
    /// Numbers and hashes everything anew, and moves the note of the end.
    Tidy,
}

/// What is stored.
#[derive(Clone)]
struct Stored {
    links: Vec<Link>,
    head: Head,
}

fn pepper() -> Pepper {
    Pepper::new(&Zeroizing::new([7; Pepper::LEN]))
}

fn record(number: i64) -> Record {
    Record {
        id: format!("id {number}"),
        org_id: (number % 3 > 0).then_some(number % 3),
        at: number,
        action: "member_added".to_owned(),
        actor_kind: "user".to_owned(),
        actor_id: "1".to_owned(),
        actor_name: "ada".to_owned(),
        subject_kind: "user".to_owned(),
        subject_id: number.to_string(),
        detail: "{}".to_owned(),
        request_id: String::new(),
        ip: String::new(),
    }
}

impl Stored {
    fn honest() -> Self {
        let pepper = pepper();
        let mut stored = Self { links: Vec::new(), head: Head { seq: 0, hash: String::new() } };
        stored.links = (1..=LENGTH).map(|number| link(number, record(number))).collect();
        stored.tidy();
        for link in &mut stored.links {
            link.seal = Some(chain::seal(&pepper, &link.hash));
        }
        stored
    }

    /// Makes numbers, hashes and the end fit again, as anybody can; seals stay what they are.
    fn tidy(&mut self) {
        let mut previous = String::new();
        for (number, link) in (1..).zip(&mut self.links) {
            link.seq = number;
            link.hash = link.record.hash(&previous, number);
            previous.clone_from(&link.hash);
        }
        let seq = i64::try_from(self.links.len()).unwrap();
        self.head = Head { seq, hash: previous };
    }

    fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            kind: CheckpointKind::AuditLog,
            sequence: self.head.seq,
            hash: self.head.hash.clone(),
            events: i64::try_from(self.links.len()).unwrap(),
            at: String::new(),
        }
    }

    fn verify(&self, peppers: &[Pepper], checkpoint: Option<&Checkpoint>) -> Report {
        let mut verifier = Verifier::new(Scope::Whole, peppers, checkpoint);
        for link in &self.links {
            verifier.read(link);
        }
        verifier.finish(&End::Noted(self.head.clone()))
    }
}

fn link(seq: i64, record: Record) -> Link {
    Link { seq, previous_hash: None, hash: String::new(), seal: None, record }
}

type Attack = fn(&mut Stored, usize, Skill);

const ATTACKS: [(&str, Attack); 5] = [
    ("edit", |stored, at, _| stored.links[at].record.actor_name = "eve".to_owned()),
    ("delete", |stored, at, _| drop(stored.links.remove(at))),
    ("reorder", |stored, at, _| {
        let other = (at + 1) % stored.links.len();
        let (one, two) = (stored.links[at].seq, stored.links[other].seq);
        stored.links[at].seq = two;
        stored.links[other].seq = one;
        stored.links.sort_by_key(|link| link.seq);
    }),
    ("insert", |stored, at, skill| {
        let seq = stored.links[at].seq;
        let mut forged = link(seq, record(10_000));
        let previous = at.checked_sub(1).map(|before| stored.links[before].hash.clone());
        forged.hash = forged.record.hash(&previous.unwrap_or_default(), seq);
        forged.seal = stored.links[at].seal.clone();
        if skill == Skill::Naive {
            // Room for it, since no number can stand twice.
            stored.links[at..].iter_mut().for_each(|link| link.seq += 1);
        }
        stored.links.insert(at, forged);
    }),
    ("cut off", |stored, at, _| stored.links.truncate(at)),
];

/// Proves AUD-02: every kind of attack at every place is found with a checkpoint that was kept
/// elsewhere, whether the attacker tidies up or not.
#[test]
fn every_attack_is_found_with_a_checkpoint() {
    let honest = Stored::honest();
    let checkpoint = honest.checkpoint();
    assert!(honest.verify(&[pepper()], Some(&checkpoint)).is_whole());
    for (name, attack) in ATTACKS {
        for skill in [Skill::Naive, Skill::Tidy] {
            for at in 0..honest.links.len() {
                let mut attacked = honest.clone();
                attack(&mut attacked, at, skill);
                if skill == Skill::Tidy {
                    attacked.tidy();
                }
                let report = attacked.verify(&[], Some(&checkpoint));
                assert!(!report.is_whole(), "{name} at {at}, {skill:?}");
            }
        }
    }
}

/// Proves AUD-02 as far as the database alone can: with the pepper, which is not in it, everything but
/// an end that was cut off tidily is found without any checkpoint.
#[test]
fn seals_show_what_was_written_by_others() {
    let (honest, pepper) = (Stored::honest(), pepper());
    for (name, attack) in ATTACKS {
        for at in (0..honest.links.len()).step_by(7) {
            let mut attacked = honest.clone();
            attack(&mut attacked, at, Skill::Tidy);
            attacked.tidy();
            let found = !attacked.verify(std::slice::from_ref(&pepper), None).is_whole();
            assert_eq!(found, name != "cut off", "{name} at {at}");
            assert!(attacked.verify(&[], None).is_whole(), "this is what hashes alone cannot show");
        }
    }
    let mut longer = honest;
    longer.links.push(link(LENGTH + 1, record(10_000)));
    let checkpoint = longer.checkpoint();
    longer.tidy();
    assert!(
        !longer.verify(std::slice::from_ref(&pepper), None).is_whole(),
        "a forged event at the end"
    );
    assert!(!longer.verify(std::slice::from_ref(&pepper), Some(&checkpoint)).is_whole());
}

#[test]
fn the_place_is_named() {
    let honest = Stored::honest();
    let first = |stored: &Stored| {
        let report = stored.verify(&[], None);
        (report.faults[0].sequence, report.faults[0].what.clone(), report.fault_count)
    };
    let mut edited = honest.clone();
    edited.links[41].record.ip = "203.0.113.9".to_owned();
    assert_eq!((first(&edited).0, first(&edited).2), (42, 1));
    let mut shorter = honest.clone();
    shorter.links.drain(9..19);
    assert_eq!(first(&shorter), (10, "10 to 19 are missing".to_owned(), 1));
    let mut cut = honest.clone();
    cut.links.truncate(100);
    assert_eq!(first(&cut).0, 101);
    let report = cut.verify(&[], Some(&honest.checkpoint()));
    assert_eq!(report.fault_count, 2, "the note of the end, and the checkpoint: {report:?}");
    let empty = Stored { links: Vec::new(), head: honest.head.clone() };
    assert_eq!(first(&empty).0, 1);
}

/// A checkpoint of some time ago still holds after more was written.
#[test]
fn a_checkpoint_stays_true() {
    let honest = Stored::honest();
    for sequence in [0, 1, 100, LENGTH] {
        let at = usize::try_from(sequence).unwrap();
        let earlier = Checkpoint {
            sequence,
            hash: at.checked_sub(1).map(|at| honest.links[at].hash.clone()).unwrap_or_default(),
            events: sequence,
            ..honest.checkpoint()
        };
        assert!(honest.verify(&[], Some(&earlier)).is_whole(), "{sequence}");
        let wrong = Checkpoint { hash: "0".to_owned(), ..earlier };
        assert_eq!(honest.verify(&[], Some(&wrong)).is_whole(), sequence == 0, "{sequence}");
    }
}

/// Exports have the hash before each event, and some have not every event.
#[test]
fn a_part_can_be_checked_by_itself() {
    let mut links = Stored::honest().links;
    let hashes: Vec<String> = links.iter().map(|link| link.hash.clone()).collect();
    for (link, previous) in links.iter_mut().skip(1).zip(hashes) {
        link.previous_hash = Some(previous);
    }
    let verify = |links: &[Link], scope| {
        let mut verifier = Verifier::new(scope, &[], None);
        for link in links {
            verifier.read(link);
        }
        verifier.finish(&End::Unknown)
    };
    assert!(verify(&links[50..], Scope::From).is_whole());
    let some: Vec<Link> = links.iter().skip(3).step_by(3).cloned().collect();
    assert!(!verify(&some, Scope::From).is_whole(), "gaps are not passed over unasked");
    let report = verify(&some, Scope::Some);
    assert!(report.is_whole() && report.left_out == 2 * (report.events - 1), "{report:?}");
    let mut edited = some;
    edited[5].record.actor_id = "2".to_owned();
    assert_eq!(verify(&edited, Scope::Some).faults[0].sequence, edited[5].seq);
}
