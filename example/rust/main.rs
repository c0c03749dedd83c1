// Rust on hakmem: every Box, Vec and String of the program comes from it.
use std::alloc::{GlobalAlloc, Layout};
use std::collections::HashMap;
use std::ffi::c_void;

extern "C" {
    fn hak_malloc(size: usize) -> *mut c_void;
    fn hak_calloc(count: usize, size: usize) -> *mut c_void;
    fn hak_memalign(alignment: usize, size: usize) -> *mut c_void;
    fn hak_realloc(block: *mut c_void, size: usize) -> *mut c_void;
    fn hak_free(block: *mut c_void);
    fn hak_malloc_usable_size(block: *const c_void) -> usize;
}

struct Hakmem;

// Every block of hakmem is aligned to 16 bytes.
const ALIGNMENT: usize = 16;

unsafe impl GlobalAlloc for Hakmem {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= ALIGNMENT {
            hak_malloc(layout.size()) as *mut u8
        } else {
            hak_memalign(layout.align(), layout.size()) as *mut u8
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= ALIGNMENT {
            return hak_calloc(1, layout.size()) as *mut u8;
        }
        let block = self.alloc(layout);
        if !block.is_null() {
            std::ptr::write_bytes(block, 0, layout.size());
        }
        block
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.align() <= ALIGNMENT {
            return hak_realloc(block as *mut c_void, size) as *mut u8;
        }
        let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
        if !moved.is_null() {
            std::ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
            self.dealloc(block, layout);
        }
        moved
    }

    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        hak_free(block as *mut c_void)
    }
}

#[global_allocator]
static GLOBAL: Hakmem = Hakmem;

fn main() {
    let mut squares = HashMap::new();
    for number in 0..10_000u64 {
        squares.insert(number, format!("{}", number * number));
    }
    let text = &squares[&1234];
    let ours = unsafe { hak_malloc_usable_size(text.as_ptr() as *const c_void) } >= text.len();
    println!("{} squares, of 1234 {}; on hakmem: {}", squares.len(), text, ours);
}
