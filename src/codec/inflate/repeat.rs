//! What comes again.

/// Copied at once.
const WIDE: usize = 32;
const LANES: usize = 8;

/// Writes `length` bytes at `at` that stood `distance` before; they may reach into themselves.
#[inline(always)]
pub(super) fn repeat(out: &mut [u8], at: usize, distance: usize, length: usize) -> Option<()> {
    if distance == 0 {
        return None;
    }
    let from = at.checked_sub(distance)?;
    let end = at + length;
    if distance >= WIDE && out.len() >= end + WIDE {
        // Up to a block too many is overwritten by what follows.
        let mut step = 0;
        while step < length {
            copy::<WIDE>(out, from + step, at + step)?;
            step += WIDE;
        }
    } else if distance >= LANES && out.len() >= end + LANES {
        let mut step = 0;
        while step < length {
            copy::<LANES>(out, from + step, at + step)?;
            step += LANES;
        }
    } else {
        let span = out.get_mut(from..end)?;
        for place in distance..span.len() {
            span[place] = span[place - distance];
        }
    }
    Some(())
}

#[inline(always)]
fn copy<const N: usize>(out: &mut [u8], from: usize, to: usize) -> Option<()> {
    let block: [u8; N] = *out.get(from..)?.first_chunk()?;
    *out.get_mut(to..)?.first_chunk_mut()? = block;
    Some(())
}
