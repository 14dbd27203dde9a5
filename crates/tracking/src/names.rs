//! Names for runs and logged models that nobody named: an adjective, an animal and a number.

use lw_core::Ctx;

const ADJECTIVES: [&str; 64] = [
    "able", "agile", "amber", "ample", "azure", "balmy", "brave", "brisk", "bronze", "calm", "cheery", "clear", "clever",
    "coral", "cosmic", "crisp", "curious", "deft", "dreamy", "eager", "early", "earnest", "elated", "fair", "fleet", "fluent",
    "fond", "frosty", "gentle", "gleeful", "golden", "grand", "hardy", "hasty", "hazel", "humble", "ivory", "jolly", "keen",
    "kind", "lively", "lucid", "lucky", "mellow", "merry", "mild", "misty", "modest", "neat", "noble", "olive", "patient",
    "plucky", "proud", "quick", "quiet", "rosy", "sandy", "serene", "sturdy", "sunny", "swift", "tidy", "witty",
];

const ANIMALS: [&str; 64] = [
    "badger", "bee", "bison", "camel", "caribou", "cheetah", "cicada", "cod", "condor", "coyote", "crane", "cricket", "dingo",
    "dolphin", "eagle", "egret", "falcon", "ferret", "finch", "fox", "gazelle", "gecko", "gibbon", "hare", "heron", "hornet",
    "ibex", "iguana", "impala", "jackal", "jaguar", "koala", "lemur", "leopard", "lizard", "llama", "lynx", "magpie", "marmot",
    "marten", "meerkat", "moose", "newt", "ocelot", "orca", "oriole", "osprey", "otter", "panda", "parrot", "pelican", "plover",
    "puffin", "quokka", "raven", "salmon", "seal", "stork", "swan", "tapir", "tern", "toucan", "walrus", "wombat",
];

/// Such as `plucky-otter-417`: at most 20 characters.
pub(crate) fn random(ctx: &Ctx) -> String {
    // Of an id that is ordered by time the low half is random.
    let bits = (ctx.ids.next() & u128::from(u64::MAX)) as u64;
    let pick = |words: &[&'static str; 64], shift: u32| words[(bits >> shift) as usize % 64];
    format!("{}-{}-{}", pick(&ADJECTIVES, 0), pick(&ANIMALS, 6), (bits >> 12) % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_short() {
        let longest = |words: &[&str]| words.iter().map(|word| word.len()).max().unwrap();
        assert!(longest(&ADJECTIVES) + longest(&ANIMALS) + 5 <= 20);
    }
}
