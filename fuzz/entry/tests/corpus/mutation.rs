//! Mutations of valid inputs that are worth trying on any format.
//!
//! ```text
//! at every position   a bit flipped, a byte set, the input cut off there, a byte left out or doubled
//! length fields       one or two bytes, as a number, one more and one less
//! DER elements        left out, doubled, emptied, longer, shorter, of another type; the lengths around them set right
//! lines of a text     left out, doubled, swapped with the next, longer
//! splices             the beginning of one input and the end of another
//! chance              several of the above at once, from a generator with a fixed seed
//! ```

use mtc_core::der;

/// The bit of an identifier octet that says that there are elements inside.
const CONSTRUCTED: u8 = 0x20;

/// All mutations of one kind that an input has.
type Kind = fn(&[u8]) -> Vec<Vec<u8>>;

/// About `count` mutations of the seeds: a third each of those that know DER or lines, of those that know nothing, evenly
/// spread where there are more, and by chance.
pub(crate) fn mutations(seeds: &[Vec<u8>], count: usize) -> Vec<Vec<u8>> {
    let of_every_seed = |kinds: [Kind; 2]| {
        let all = seeds.iter().flat_map(|seed| kinds.map(|kind| kind(seed)));
        all.flatten().collect::<Vec<_>>()
    };
    let mut mutations = evenly_spread(of_every_seed([of_der_elements, of_lines]), count / 3);
    mutations.extend(evenly_spread(
        of_every_seed([at_every_position, of_length_fields]),
        count - count / 3 - mutations.len(),
    ));
    let mut chance = Chance(fastrand::Rng::with_seed(0x5eed));
    for _ in 0..count / 6 {
        mutations.push(chance.splice(seeds));
        mutations.push(chance.several(seeds));
    }
    mutations
}

/// At most `count` of them.
fn evenly_spread(all: Vec<Vec<u8>>, count: usize) -> Vec<Vec<u8>> {
    let step = all.len().div_ceil(count).max(1);
    all.into_iter().step_by(step).collect()
}

fn at_every_position(seed: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for position in 0..seed.len() {
        let byte = seed[position];
        for value in [
            byte ^ 1 << (position % 8),
            byte ^ 0x80,
            byte.wrapping_add(1),
            0,
            0xff,
        ] {
            let mut changed = seed.to_vec();
            changed[position] = value;
            all.push(changed);
        }
        all.push(seed[..position].to_vec());
        all.push([&seed[..position], &seed[position + 1..]].concat());
        all.push([&seed[..=position], &seed[position..]].concat());
    }
    all.push([seed, &[0]].concat());
    all
}

fn of_length_fields(seed: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for position in 0..seed.len().saturating_sub(1) {
        let field = u16::from_be_bytes([seed[position], seed[position + 1]]);
        for value in [
            field.wrapping_add(1),
            field.wrapping_sub(1),
            field.wrapping_add(32),
            field.wrapping_sub(32),
        ] {
            let mut changed = seed.to_vec();
            changed[position..position + 2].copy_from_slice(&value.to_be_bytes());
            all.push(changed);
        }
    }
    all
}

/// Everything that can be done to one element of a DER input; nothing if it is none.
fn of_der_elements(input: &[u8]) -> Vec<Vec<u8>> {
    let mut elements = Vec::new();
    let mut reader = der::Reader::new(input);
    while !reader.is_empty() {
        let Ok(element) = reader.element() else {
            return Vec::new();
        };
        elements.push(element);
    }
    let mut all = Vec::new();
    for (position, element) in elements.iter().enumerate() {
        let whole = |elements: &[der::Element<'_>]| {
            let parts: Vec<&[u8]> = elements.iter().map(|element| element.whole).collect();
            parts.concat()
        };
        let (before, after) = (
            whole(&elements[..position]),
            whole(&elements[position + 1..]),
        );
        let (tag, contents) = (element.tag, element.contents);
        let mut replacements = vec![
            Vec::new(),
            element.whole.repeat(2),
            der::element(tag, &[]),
            der::element(tag, &[contents, &[0]]),
            der::element(tag, &[&contents[..contents.len().saturating_sub(1)]]),
            der::element(tag ^ 1, &[contents]),
            der::element(tag ^ CONSTRUCTED, &[contents]),
        ];
        if tag & CONSTRUCTED != 0 {
            let inside = of_der_elements(contents);
            replacements.extend(inside.iter().map(|contents| der::element(tag, &[contents])));
        }
        all.extend(
            replacements
                .iter()
                .map(|replacement| [&before, replacement, &after].map(Vec::as_slice).concat()),
        );
    }
    all
}

fn of_lines(input: &[u8]) -> Vec<Vec<u8>> {
    let lines: Vec<&[u8]> = input.split_inclusive(|byte| *byte == b'\n').collect();
    let mut all = Vec::new();
    for (position, line) in lines.iter().enumerate() {
        let with = |replacement: &[&[u8]]| {
            let parts = [&lines[..position], replacement, &lines[position + 1..]];
            parts.concat().concat()
        };
        all.push(with(&[]));
        all.push(with(&[line, line]));
        all.push(with(&[b"\n", line]));
        all.push(with(&[b"0", line]));
        all.push(with(&[b" ", line]));
        all.push(with(&[&line[..line.len() - 1], b" \n"]));
        all.push(with(&[&line[..line.len() - 1], b"\r\n"]));
        if let Some(next) = lines.get(position + 1) {
            let mut swapped = lines.clone();
            swapped[position] = next;
            swapped[position + 1] = line;
            all.push(swapped.concat());
        }
    }
    all
}

/// Choices that are the same in every run.
struct Chance(fastrand::Rng);

impl Chance {
    /// A number below `bound`, or 0.
    fn below(&mut self, bound: usize) -> usize {
        self.0.usize(..bound.max(1))
    }

    fn seed<'a>(&mut self, seeds: &'a [Vec<u8>]) -> &'a [u8] {
        &seeds[self.below(seeds.len())]
    }

    fn splice(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let (head, tail) = (self.seed(seeds), self.seed(seeds));
        let end = self.below(head.len());
        // Mostly at the same place of both, where inputs of one form fit together.
        let start = match self.below(4) {
            0 => self.below(tail.len()),
            _ => end.min(tail.len()),
        };
        [&head[..end], &tail[start..]].concat()
    }

    fn several(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut input = self.seed(seeds).to_vec();
        for _ in 0..=self.below(6) {
            if input.is_empty() {
                return input;
            }
            let position = self.below(input.len());
            match self.below(5) {
                0 => input[position] = self.0.u8(..),
                1 => input[position] ^= 1 << self.below(8),
                2 => {
                    let end = (position + 1 + self.below(8)).min(input.len());
                    input.drain(position..end);
                }
                3 => {
                    let end = (position + 1 + self.below(40)).min(input.len());
                    let copied = input[position..end].to_vec();
                    let place = self.below(input.len());
                    input.splice(place..place, copied);
                }
                _ => {
                    let other = self.below(input.len());
                    input.swap(position, other);
                }
            }
        }
        input
    }
}
