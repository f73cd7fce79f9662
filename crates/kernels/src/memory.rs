//! Memory that is used again: buffers for tensors, scratch for threads, and one slice for many tasks.
//!
//! A training step takes and frees tens of buffers of megabytes. An allocator hands such back to the
//! system, and every page is faulted in and zeroed anew at the next step; here they wait for the next
//! tensor of their size.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

use burn_flex::{FlexTensor, Layout as TensorLayout};
use burn_std::{
    AccessError, AccessPolicy, AllocationController, AllocationProperty, Bytes, DType, Shape,
};

/// A cache line and the widest vector.
const ALIGN: usize = 64;
/// Buffers are kept by size in steps of this many bytes.
const STEP: usize = 4096;
/// A buffer that so many takings have passed over is given back to the system.
const PATIENCE: u64 = 4096;
/// Scratch above this is not kept by its thread.
const MAX_SCRATCH: usize = 1 << 22;

/// Numbers in memory aligned to a vector; dropped, it waits for the next of its size.
///
/// What a new buffer holds is unspecified, but never uninitialised.
pub(crate) struct Buffer {
    ptr: NonNull<f32>,
    len: usize,
}

// SAFETY: a buffer owns its memory alone.
unsafe impl Send for Buffer {}
// SAFETY: a shared buffer only gives out shared slices.
unsafe impl Sync for Buffer {}

struct Idle {
    ptr: NonNull<f32>,
    since: u64,
}

// SAFETY: idle memory belongs to nobody else.
unsafe impl Send for Idle {}

#[derive(Default)]
struct Pool {
    idle: BTreeMap<usize, Vec<Idle>>,
    n_taken: u64,
}

static POOL: Mutex<Pool> = Mutex::new(Pool { idle: BTreeMap::new(), n_taken: 0 });

fn pool() -> MutexGuard<'static, Pool> {
    // The pool is in order between any two statements, so a panic elsewhere leaves nothing torn.
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

fn layout(len: usize) -> Layout {
    let size = (len * size_of::<f32>()).max(1).next_multiple_of(STEP);
    match Layout::from_size_align(size, ALIGN) {
        Ok(layout) => layout,
        Err(_) => panic!("a tensor of {len} numbers is larger than the address space"),
    }
}

impl Pool {
    fn take(&mut self, size: usize) -> Option<NonNull<f32>> {
        self.n_taken += 1;
        if self.n_taken.is_multiple_of(PATIENCE / 4) {
            self.release_stale();
        }
        self.idle.get_mut(&size)?.pop().map(|idle| idle.ptr)
    }

    fn release_stale(&mut self) {
        let oldest = self.n_taken.saturating_sub(PATIENCE);
        for (size, idle) in &mut self.idle {
            idle.retain(|buffer| {
                let fresh = buffer.since >= oldest;
                if !fresh {
                    // SAFETY: allocated by `Buffer::new` with the layout of this size.
                    unsafe {
                        let layout = Layout::from_size_align_unchecked(*size, ALIGN);
                        dealloc(buffer.ptr.as_ptr().cast(), layout);
                    }
                }
                fresh
            });
        }
    }
}

impl Buffer {
    pub(crate) fn new(len: usize) -> Self {
        let layout = layout(len);
        let taken = pool().take(layout.size());
        let ptr = taken.unwrap_or_else(|| {
            // SAFETY: the layout's size is at least `STEP`.
            let ptr = unsafe { alloc_zeroed(layout) };
            NonNull::new(ptr.cast()).unwrap_or_else(|| handle_alloc_error(layout))
        });
        Self { ptr, len }
    }

    pub(crate) fn zeroed(len: usize) -> Self {
        let mut buffer = Self::new(len);
        buffer.fill(0.0);
        buffer
    }

    /// The memory as bytes, any of which make a number.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: the buffer's own memory; every byte of it is initialised.
        unsafe { std::slice::from_raw_parts(self.ptr.as_ptr().cast(), self.len * size_of::<f32>()) }
    }

    /// As [`bytes`](Self::bytes).
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        let n_bytes = self.len * size_of::<f32>();
        // SAFETY: as above, and borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.as_ptr().cast(), n_bytes) }
    }

    /// The buffer as a tensor, which it stays until the last clone of it is dropped.
    pub(crate) fn into_tensor(self, shape: &[usize]) -> FlexTensor {
        assert_eq!(shape.iter().product::<usize>(), self.len, "a tensor of {shape:?}");
        let n_bytes = self.len * size_of::<f32>();
        // SAFETY: the controller's memory is initialised throughout.
        let bytes = unsafe { Bytes::from_controller(Box::new(Controller(self)), n_bytes) };
        FlexTensor::new(bytes, TensorLayout::contiguous(Shape::from(shape.to_vec())), DType::F32)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let size = layout(self.len).size();
        let mut pool = pool();
        let since = pool.n_taken;
        pool.idle.entry(size).or_default().push(Idle { ptr: self.ptr, since });
    }
}

impl Deref for Buffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        // SAFETY: `len` numbers were allocated, and zeroed at the first taking.
        unsafe { std::slice::from_raw_parts(self.ptr.as_ptr(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as in `deref`, and borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.as_ptr(), self.len) }
    }
}

/// Lends a buffer to Burn.
struct Controller(Buffer);

impl AllocationController for Controller {
    fn alloc_align(&self) -> usize {
        ALIGN
    }

    fn property(&self) -> AllocationProperty {
        AllocationProperty::Other
    }

    unsafe fn memory_mut(
        &mut self,
        _policy: AccessPolicy,
    ) -> Result<&mut [MaybeUninit<u8>], AccessError> {
        let n_bytes = self.0.len * size_of::<f32>();
        // SAFETY: the buffer's own memory, for as long as it is borrowed.
        Ok(unsafe { std::slice::from_raw_parts_mut(self.0.ptr.as_ptr().cast(), n_bytes) })
    }

    fn memory(&self, _policy: AccessPolicy) -> Result<&[MaybeUninit<u8>], AccessError> {
        let n_bytes = self.0.len * size_of::<f32>();
        // SAFETY: the buffer's own memory, for as long as it is borrowed.
        Ok(unsafe { std::slice::from_raw_parts(self.0.ptr.as_ptr().cast(), n_bytes) })
    }
}

thread_local! {
    static SCRATCH: RefCell<Option<Buffer>> = const { RefCell::new(None) };
}

/// Lends the thread's scratch of `len` numbers; what it holds is unspecified.
pub(crate) fn with_scratch<R>(len: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    let kept = SCRATCH.take().filter(|buffer| buffer.len >= len);
    let mut buffer = kept.unwrap_or_else(|| Buffer::new(len));
    let result = work(&mut buffer[..len]);
    if buffer.len * size_of::<f32>() <= MAX_SCRATCH {
        SCRATCH.set(Some(buffer));
    }
    result
}

/// One slice that several tasks write, each its own part.
#[derive(Clone, Copy)]
pub(crate) struct Shared<'a> {
    ptr: *mut f32,
    len: usize,
    slice: PhantomData<&'a mut [f32]>,
}

// SAFETY: handing out parts is `unsafe`, and whoever does it vouches that they are disjoint.
unsafe impl Send for Shared<'_> {}
// SAFETY: as above.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    pub(crate) fn new(slice: &'a mut [f32]) -> Self {
        Self { ptr: slice.as_mut_ptr(), len: slice.len(), slice: PhantomData }
    }

    /// The part `[first, first + len)`.
    ///
    /// # Safety
    /// While the part lives, no other part that overlaps it is used.
    pub(crate) unsafe fn part(self, first: usize, len: usize) -> &'a mut [f32] {
        assert!(first <= self.len && len <= self.len - first, "{first} + {len} of {}", self.len);
        // SAFETY: inside the slice by the assertion, disjoint by the caller's word.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.add(first), len) }
    }

    /// A place from which strided numbers are written, all of them before `first + span`.
    ///
    /// # Safety
    /// No number that is written through it is touched by another task meanwhile.
    pub(crate) unsafe fn place(self, first: usize, span: usize) -> *mut f32 {
        assert!(first <= self.len && span <= self.len - first, "{first} + {span} of {}", self.len);
        // SAFETY: inside the slice by the assertion.
        unsafe { self.ptr.add(first) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_aligned_and_comes_back() {
        // A size that no other test takes.
        let len = 1_234_567;
        let mut buffer = Buffer::new(len);
        assert!(buffer.as_ptr().addr().is_multiple_of(ALIGN));
        buffer[7] = 3.5;
        let place = buffer.as_ptr().addr();
        drop(buffer);
        let again = Buffer::new(len);
        assert_eq!(again.as_ptr().addr(), place);
        assert_eq!(again[7], 3.5);
        assert!(Buffer::zeroed(len).iter().all(|x| *x == 0.0));
    }

    #[test]
    fn a_tensor_holds_its_buffer_until_the_last_clone() {
        let mut buffer = Buffer::new(6);
        buffer.copy_from_slice(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let tensor = buffer.into_tensor(&[2, 3]);
        let mut clone = tensor.clone();
        drop(tensor);
        assert_eq!(clone.storage::<f32>(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        clone.storage_mut::<f32>()[0] = 9.0;
        assert_eq!(clone.into_data().iter::<f32>().collect::<Vec<_>>()[0], 9.0);
    }

    #[test]
    fn memory_that_nobody_asks_for_goes_back_to_the_system() {
        let len = 7_654_321;
        drop(Buffer::new(len));
        let size = layout(len).size();
        let idle = || pool().idle.get(&size).map_or(0, Vec::len);
        assert_eq!(idle(), 1);
        for _ in 0..2 * PATIENCE {
            drop(Buffer::new(1));
        }
        assert_eq!(idle(), 0);
    }

    #[test]
    #[should_panic(expected = "of 4")]
    fn a_part_outside_the_slice_is_refused() {
        let mut numbers = [0.0; 4];
        let shared = Shared::new(&mut numbers);
        // SAFETY: the only part, and refused.
        unsafe { shared.part(2, 3) };
    }

    #[test]
    fn scratch_inside_scratch_is_other_scratch() {
        with_scratch(10, |outer| {
            outer.fill(1.0);
            with_scratch(10, |inner| inner.fill(2.0));
            assert!(outer.iter().all(|x| *x == 1.0));
        });
    }
}
