import Files
import Synchronization
import Tensor

/// Where packed weights lie; filled at once, or when the first of them is used.
public final class PackedMemory: @unchecked Sendable {
  private let memory: MappedMemory
  private let isFilled: Atomic<Bool>
  private let fill: Mutex<((UnsafeMutableRawBufferPointer) throws -> Void)?>

  /// Of memory that is filled.
  public init(_ memory: MappedMemory) {
    self.memory = memory
    isFilled = Atomic(true)
    fill = Mutex(nil)
  }

  /// Of memory that may be written, whose pages cost nothing before.
  public init(_ memory: MappedMemory, fill: @escaping @Sendable (UnsafeMutableRawBufferPointer) throws -> Void) {
    self.memory = memory
    isFilled = Atomic(false)
    self.fill = Mutex(fill)
  }

  /// Any number of threads may ask at once.
  var base: UnsafeRawPointer {
    if !isFilled.load(ordering: .acquiring) { fillNow() }
    guard let base = memory.bytes.baseAddress else { preconditionFailure("no memory for the packed weights") }
    return base
  }

  private func fillNow() {
    fill.withLock { fill in
      guard let pack = fill else { return }
      do {
        try pack(UnsafeMutableRawBufferPointer(mutating: memory.bytes))
      } catch {
        // The products have been made; only a lack of memory for a few hundred bytes is left.
        fatalError("\(error)")
      }
      fill = nil
      isFilled.store(true, ordering: .releasing)
    }
  }
}

/// A frozen weight in the order, and rounded to the precision, that its product reads.
public struct PackedWeight: Sendable {
  public let product: PackedProduct
  private let memory: PackedMemory
  /// In bytes.
  private let offset: Int

  public init(product: PackedProduct, memory: PackedMemory, offset: Int = 0) {
    self.product = product
    self.memory = memory
    self.offset = offset
  }

  var packed: UnsafeRawPointer { memory.base + offset }
}
