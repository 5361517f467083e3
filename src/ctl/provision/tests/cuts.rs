//! The power is cut after each single step of a change: the daemon finds the former secrets or the
//! new ones, the same command comes to its end, and no copy in clear is forgotten.

use super::*;
use crate::system::atomic_file::faulty::cut_after;

fn files_in(directory: &str) -> Provision {
    Provision {
        how: How::Files(PathBuf::from(directory)),
        ..Provision::default()
    }
}

impl World {
    /// The secret that the daemon would get. `None`: it gets nothing, which is a valid state.
    fn gets(&self, which: Which) -> Option<Plain> {
        let config = self.site.config().unwrap();
        let found = find(&self.site, Some(&config), which).unwrap();
        found.map(|found| {
            found
                .content
                .unwrap_or_else(|why| panic!("the daemon would not start: {why}"))
        })
    }

    /// The daemon would get the secret and this key, as if nothing had been begun.
    fn gets_both(&self, key: &Plain, steps: usize) {
        assert_eq!(
            self.gets(Which::ClientSecret).unwrap().as_slice(),
            SECRET.as_bytes(),
            "cut after {steps}"
        );
        assert_eq!(self.gets(Which::StateKey).unwrap(), *key, "cut after {steps}");
    }

    /// Files that hold this.
    fn holding(&self, secret: &[u8]) -> Vec<String> {
        let everything = self.everything().into_iter();
        let holding = everything.filter(|(_, content)| content.windows(secret.len()).any(|window| window == secret));
        let names = holding.map(|(path, _)| self.site.machine_path(&path).display().to_string());
        names.collect()
    }

    fn is_settled(&self) -> bool {
        DropIn::load(&self.site).unwrap().unsettled.is_empty()
    }
}

/// Tries `change` in worlds that `prepare` made, cut after one step, two steps, … Then `look`
/// judges each world, and also the result of the same command run again. Returns how many cuts
/// there were.
fn cut_everywhere(
    prepare: impl Fn(&World),
    change: (&str, &Provision),
    look: impl Fn(&World, usize),
    after: &Provision,
) -> usize {
    let (secret, wanted) = change;
    for steps in 0.. {
        let mut world = World::new();
        prepare(&world);
        let finished = cut_after(steps, |disk| {
            let whole = std::mem::replace(&mut world.site.disk, disk);
            drop(world.provision(secret, wanted));
            world.site.disk = whole;
        });
        look(&world, steps);
        world
            .provision(secret, after)
            .unwrap_or_else(|failure| panic!("cut after {steps}: {failure}"));
        assert_eq!(world.client_secret(), secret, "cut after {steps}");
        assert!(world.is_settled(), "cut after {steps}");
        if finished {
            return steps;
        }
    }
    unreachable!("it never ends")
}

#[test]
fn from_one_directory_to_another_no_cut_loses_the_secrets_or_forgets_a_copy() {
    let key = std::cell::RefCell::new(Plain::default());
    let prepare = |world: &World| {
        world.provision(SECRET, &files_in("/one")).unwrap();
        world.record();
        *key.borrow_mut() = world.gets(Which::StateKey).unwrap();
    };
    let look = |world: &World, steps| {
        world.gets_both(&key.borrow(), steps);
        // Wherever a copy is, its name is known.
        let known = DropIn::load(&world.site).unwrap().clear_files();
        for path in world.holding(SECRET.as_bytes()) {
            let path = path.replace("/.client-secret.new", "/client-secret");
            assert!(
                known.contains(Path::new(&path)),
                "cut after {steps}: {path} is known to nobody"
            );
        }
    };
    let cuts = cut_everywhere(prepare, (SECRET, &files_in("/two")), look, &files_in("/two"));
    assert!(cuts > 15, "only {cuts} cuts");
    // And a change of mind.
    let back = |world: &World, steps| {
        world.provision(SECRET, &files_in("/three")).unwrap();
        assert_eq!(
            world.holding(SECRET.as_bytes()),
            ["/three/client-secret"],
            "cut after {steps}"
        );
        assert_eq!(world.holding(&key.borrow()), ["/three/state-key"], "cut after {steps}");
    };
    cut_everywhere(prepare, (SECRET, &files_in("/two")), back, &files_in("/three"));
}

#[test]
fn a_first_provisioning_that_is_cut_leaves_nothing_half() {
    let look = |world: &World, steps| {
        for which in [Which::ClientSecret, Which::StateKey] {
            let _ = world.gets(which);
        }
        assert!(world.holding(SECRET.as_bytes()).len() < 2, "cut after {steps}");
    };
    cut_everywhere(|_| (), (SECRET, &files_in("/one")), look, &files_in("/one"));
}

#[test]
fn another_secret_is_the_former_or_the_new_at_each_cut() {
    let prepare = |world: &World| drop(world.provision(SECRET, &files_in("/one")).unwrap());
    let look = |world: &World, steps| {
        let found = world.gets(Which::ClientSecret).unwrap();
        assert!(
            [SECRET, OTHER].map(str::as_bytes).contains(&found.as_slice()),
            "cut after {steps}"
        );
    };
    let again = replacing(files_in("/one"));
    cut_everywhere(prepare, (OTHER, &again), look, &again);
}

#[test]
#[ignore = "needs systemd-creds; .ci/run installs it and asks for these"]
fn from_files_to_sealed_and_back_no_cut_loses_the_secrets_or_forgets_a_copy() {
    let key = std::cell::RefCell::new(Plain::default());
    let look = |world: &World, steps| world.gets_both(&key.borrow(), steps);
    for (from, to) in [(files_in("/one"), sealed()), (sealed(), files_in("/one"))] {
        let prepare = |world: &World| {
            world.provision(SECRET, &from).unwrap();
            world.record();
            *key.borrow_mut() = world.gets(Which::StateKey).unwrap();
        };
        let cuts = cut_everywhere(prepare, (SECRET, &to), look, &to);
        assert!(cuts > 10, "only {cuts} cuts");
        // Sealed in the end, whatever was begun: nothing is left in clear.
        let sealed_at_last = |world: &World, steps| {
            world.provision(SECRET, &sealed()).unwrap();
            assert_eq!(world.holding(SECRET.as_bytes()), [""; 0], "cut after {steps}");
            assert_eq!(world.holding(&key.borrow()), [""; 0], "cut after {steps}");
        };
        cut_everywhere(prepare, (SECRET, &to), sealed_at_last, &sealed());
    }
}
