import Machine
import Randomness
import Tensor

// The trained tensors: one table of names, shapes and places that checkpoint, reduction, optimizer and freezing
// share.

/// Which part of a network a tensor belongs to; declared where the part is. A group's tensors are neighbours in
/// memory, so that what a phase trains can be one range.
public struct ParameterGroup: Hashable, Sendable {
  public let name: String
  public init(_ name: String) { self.name = name }
}

/// How a tensor starts (docs/model.md).
public enum Initialiser: Equatable, Sendable {
  case zeros
  case ones
  case normal(Double)
  /// σ, cut at ±2σ.
  case truncatedNormal(Double)
  /// Uniform in ±bound.
  case uniform(Double)
}

/// How a tensor lies in memory against its file.
public enum MemoryOrder: Equatable, Sendable {
  /// As in the file.
  case plain
  /// A file's [out, in, kh, kw] lies as [out, kh, kw, in], so that a token-major convolution is one product.
  case channelsLast
}

/// One trained tensor.
public struct Parameter: @unchecked Sendable {
  public let name: String
  /// As in files; row-major.
  public let shape: [Int]
  public let group: ParameterGroup
  public let initialiser: Initialiser
  public let memoryOrder: MemoryOrder
  /// Whether weight decay applies: two or more dimensions and no position embedding (docs/model.md, "Update").
  public let isDecayed: Bool
  public let offset: Int
  unowned(unsafe) let store: ParameterStore

  public var count: Int { shape.reduce(1, *) }
  public var values: Floats { store.values.base + offset }
  public var range: Range<Int> { offset..<(offset + count) }
}

/// One running statistic of a batch norm: saved with the model, never trained.
public struct Statistic: @unchecked Sendable {
  public let name: String
  public let count: Int
  public let offset: Int
  let startsAtOne: Bool
  unowned(unsafe) let store: ParameterStore

  public var values: Floats { store.statisticValues.base + offset }
}

/// Trained tensors for which the machine has no memory.
public struct ParametersBeyondMemory: Error {
  public let bytes: Double
  /// The largest of them.
  public let largest: String
  public let shape: [Int]
  public let group: ParameterGroup
}

/// All trained tensors in one arena, their gradients and moments in parallel ones.
///
/// Layers declare what they need, group by group; then `allocate` makes the arenas.
public final class ParameterStore: @unchecked Sendable {
  public private(set) var parameters: [Parameter] = []
  public private(set) var statistics: [Statistic] = []
  public private(set) var count = 0
  private var statisticCount = 0

  public private(set) var values = Buffer(0)
  public private(set) var gradients = Buffer(0)
  public private(set) var firstMoments = Buffer(0)
  public private(set) var secondMoments = Buffer(0)
  public private(set) var statisticValues = Buffer(0)
  /// Each tensor's own count of updates, in the order of `parameters`.
  public var steps: [Int] = []

  public init() {}

  public func declare(
    _ name: String, _ shape: [Int], group: ParameterGroup, _ initialiser: Initialiser,
    memoryOrder: MemoryOrder = .plain, isPosition: Bool = false
  ) -> Parameter {
    precondition(
      parameters.last?.group == group || !parameters.contains { $0.group == group },
      "tensors of group \(group.name) are declared one after another")
    let parameter = Parameter(
      name: name, shape: shape, group: group, initialiser: initialiser, memoryOrder: memoryOrder,
      isDecayed: shape.count >= 2 && !isPosition, offset: count, store: self)
    parameters.append(parameter)
    count += parameter.count
    return parameter
  }

  public func declareStatistic(_ name: String, count: Int, startsAtOne: Bool) -> Statistic {
    let statistic = Statistic(
      name: name, count: count, offset: statisticCount, startsAtOne: startsAtOne, store: self)
    statistics.append(statistic)
    statisticCount += count
    return statistic
  }

  /// Makes the arenas.
  ///
  /// - Parameter training: whether gradients and moments are needed.
  /// - Throws: `ParametersBeyondMemory`, before anything is taken.
  public func allocate(training: Bool) throws {
    let bytes = 4 * Double(count) * (training ? 4 : 1)
    if bytes > MachineMemory.bytes, let largest = parameters.max(by: { $0.count < $1.count }) {
      throw ParametersBeyondMemory(bytes: bytes, largest: largest.name, shape: largest.shape, group: largest.group)
    }
    values = Buffer(count)
    statisticValues = Buffer(statisticCount)
    if training {
      gradients = Buffer(count)
      firstMoments = Buffer(count)
      secondMoments = Buffer(count)
    }
    steps = Array(repeating: 0, count: parameters.count)
  }

  /// Gives every tensor its start. Each draws from its own stream, `init/<name>`, in the file's element order, so
  /// that one tensor's start depends on no other.
  ///
  /// - Parameters:
  ///   - stream: what the streams' names begin with; another than `init` gives another start.
  ///   - isChosen: of which tensors and statistics, by name; the others stay as they are.
  public func initialise(seed: UInt64, stream name: String = "init", _ isChosen: (String) -> Bool = { _ in true }) {
    for parameter in parameters where isChosen(parameter.name) {
      var stream = RandomStream(seed: seed, name: "\(name)/\(parameter.name)")
      let draws: [Float] = (0..<parameter.count).map { _ in
        switch parameter.initialiser {
        case .zeros: 0
        case .ones: 1
        case .normal(let sigma): Float(sigma * stream.normal())
        case .truncatedNormal(let sigma): Float(sigma * stream.truncatedNormal(cut: 2))
        case .uniform(let bound): Float(stream.uniform(-bound, bound))
        }
      }
      set(parameter, fromFile: draws)
    }
    for statistic in statistics where isChosen(statistic.name) {
      statistic.values.update(repeating: statistic.startsAtOne ? 1 : 0, count: statistic.count)
    }
  }

  /// Takes over the tensors and statistics of a store with the same ones.
  public func copyValues(of other: ParameterStore) {
    precondition(parameters.map(\.name) == other.parameters.map(\.name) && count == other.count)
    values.base.update(from: other.values.base, count: count)
    statisticValues.base.update(from: other.statisticValues.base, count: statisticCount)
  }

  /// The range of the arenas that a set of groups covers; the groups must be neighbours in memory.
  public func range(of groups: Set<ParameterGroup>) -> Range<Int> {
    let own = parameters.filter { groups.contains($0.group) }
    guard let first = own.first, let last = own.last else { return 0..<0 }
    precondition(own.reduce(0) { $0 + $1.count } == last.range.upperBound - first.offset)
    return first.offset..<last.range.upperBound
  }

  /// One of the arenas' view of a tensor, in the file's element order.
  public func fileValues(of parameter: Parameter, in arena: Buffer) -> [Float] {
    let memory = arena.base + parameter.offset
    return [Float](unsafeUninitializedCapacity: parameter.count) { file, count in
      count = parameter.count
      guard let file = file.baseAddress else { return }
      switch parameter.memoryOrder {
      case .plain: file.update(from: memory, count: count)
      case .channelsLast: Self.transpose(parameter) { fileIndex, memoryIndex in file[fileIndex] = memory[memoryIndex] }
      }
    }
  }

  /// Stores values that are in the file's element order into one of the arenas.
  public func set(_ parameter: Parameter, fromFile values: [Float], in arena: Buffer? = nil) {
    precondition(values.count == parameter.count)
    let memory = (arena ?? self.values).base + parameter.offset
    switch parameter.memoryOrder {
    case .plain: memory.update(from: values, count: values.count)
    case .channelsLast:
      values.withUnsafeBufferPointer { file in
        Self.transpose(parameter) { fileIndex, memoryIndex in memory[memoryIndex] = file[fileIndex] }
      }
    }
  }

  /// Calls `body` with the place in the file [out, in, kh, kw] and in memory [out, kh, kw, in] of every element.
  @inline(__always)
  private static func transpose(_ parameter: Parameter, _ body: (_ fileIndex: Int, _ memoryIndex: Int) -> Void) {
    let (outputs, inputs) = (parameter.shape[0], parameter.shape[1])
    let kernel = parameter.shape[2] * parameter.shape[3]
    for output in 0..<outputs {
      for place in 0..<kernel {
        for input in 0..<inputs {
          body((output * inputs + input) * kernel + place, (output * kernel + place) * inputs + input)
        }
      }
    }
  }
}

/// Where a lane's gradients of one segment of tensors are gathered, before the lanes are summed.
public struct GradientSlot: @unchecked Sendable {
  let base: Floats
  let origin: Int

  /// - Parameters:
  ///   - base: room for the segment, zeroed before the lane's first sample.
  ///   - origin: the segment's offset in the arenas.
  public init(base: Floats, origin: Int) {
    self.base = base
    self.origin = origin
  }

  public func of(_ parameter: Parameter) -> Floats { base + (parameter.offset - origin) }
}
