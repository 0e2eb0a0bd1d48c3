import COpenBLAS
import Failures
import Foundation

// OpenBLAS maps a working block for every thread that is in a product, and where the system refuses it tries again
// for ever (OpenMathLib/OpenBLAS#5289). So its blocks are mapped before the first product, where there is room.

/// Room for a block beside what it is mapped with, in bytes. OpenBLAS 0.3 for x86-64 maps 128 MiB; only what is touched
/// of it costs memory.
private let blockBytes = (128 << 20) + (1 << 16)

private typealias Allocate = @convention(c) (Int32) -> UnsafeMutableRawPointer?
private typealias Free = @convention(c) (UnsafeMutableRawPointer?) -> Void

/// Makes products run on the thread that calls them, by the given library, and sure of their memory. Call before the
/// first product.
///
/// - Parameters:
///   - library: of those that are linked; what `ProductLibrary.current` is from now on.
///   - threads: how many may multiply at once.
///   - limit: what limits the address space, for the message.
/// - Throws: `Failure` 69 where the blocks cannot be mapped.
public func secureProducts(
  by library: ProductLibrary = .openblas, threads: Int, limit: @autoclosure () -> String?
) throws {
  precondition(ProductLibrary.linked.contains(library))
  ProductLibrary.current = library
  useOneThreadPerProduct()
  let bytes = threads * blockBytes
  let room = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
  guard let room, room != MAP_FAILED else {
    let reason = limit() ?? systemReason()
    throw Failure.unavailable(
      "OpenBLAS cannot get its working memory, \(bytes >> 20) MiB of address space for \(threads) thread\(threads == 1 ? "" : "s"): \(reason). Raise the limit, or use fewer --threads"
    )
  }
  munmap(room, bytes)
  // Not in OpenBLAS's header, but in every build of it that shows its symbols.
  let handle = dlopen(nil, RTLD_NOW)
  guard let allocate = dlsym(handle, "blas_memory_alloc").map({ unsafeBitCast($0, to: Allocate.self) }),
    let free = dlsym(handle, "blas_memory_free").map({ unsafeBitCast($0, to: Free.self) })
  else { return }
  // Blocks that are given back stay mapped for the next product.
  for block in (0..<threads).map({ _ in allocate(0) }) { free(block) }
}
