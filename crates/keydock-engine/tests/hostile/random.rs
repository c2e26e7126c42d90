//! Chance that repeats itself.

/// Numbers that look random and are the same in every run (xorshift).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.next() % end).unwrap_or_default()
    }

    /// One byte.
    pub(crate) fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[3]
    }

    /// The bytes with a few of their bits turned.
    pub(crate) fn flipped(&mut self, bytes: &[u8], count: usize) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..count {
            let at = self.below(bytes.len());
            bytes[at] ^= 1 << self.below(8);
        }
        bytes
    }

    /// The bytes with a stretch overwritten by noise.
    pub(crate) fn smeared(&mut self, bytes: &[u8], length: usize) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        let start = self.below(bytes.len().saturating_sub(length));
        for byte in bytes.iter_mut().skip(start).take(length) {
            *byte = self.byte();
        }
        bytes
    }

    /// The bytes with a stretch of them repeated elsewhere.
    pub(crate) fn spliced(&mut self, bytes: &[u8]) -> Vec<u8> {
        let start = self.below(bytes.len());
        let end = start + self.below(bytes.len() - start);
        let at = self.below(bytes.len());
        [&bytes[..at], &bytes[start..end], &bytes[at..]].concat()
    }

    /// The bytes up to a place.
    pub(crate) fn cut<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let end = self.below(bytes.len());
        &bytes[..end]
    }
}
