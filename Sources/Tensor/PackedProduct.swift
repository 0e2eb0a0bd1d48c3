import Failures

// Products of frozen weights that are packed once, by oneDNN, with operands in float32 or bfloat16 and sums in float32;
// there where the package is built with its trait BFloat16. Used by `Linear` for the frozen blocks; fixed by
// PackedProductTests.

/// What the operands of the frozen blocks' products are, or are rounded to.
public enum Precision: String, Sendable {
  case float32
  case bfloat16

  /// Of a number.
  var byteCount: Int { self == .float32 ? 4 : 2 }
}

/// What oneDNN makes of bfloat16 on this processor.
public struct BFloat16Support: Sendable {
  /// "oneDNN 2.6.3 (AVX-512 BF16)": part of a run's fingerprint, for bits differ between instruction sets.
  public let description: String
  public enum Instructions: String, Sendable {
    /// oneDNN widens to float32: right, but not fast.
    case emulated = "bfloat16 emulated on AVX-512"
    case avx512 = "AVX-512 BF16"
    case amx = "AMX"
  }

  public let instructions: Instructions

  public init(description: String, instructions: Instructions) {
    self.description = description
    self.instructions = instructions
  }

  /// Why float32 is the faster on such a processor, as far as that was measured (docs/bfloat16.md); else nil.
  ///
  /// - Parameter vendor: as `/proc/cpuinfo` names it.
  public func reasonToBeSlower(vendor: String) -> String? {
    switch instructions {
    case .emulated: "this processor has no bfloat16 instructions"
    case .avx512 where vendor == "GenuineIntel": "Intel's processors without AMX were measured to be slower in bfloat16"
    case .avx512, .amx: nil
    }
  }
}

/// One kind of product: y [rows, outputs] = x [rows, inputs]·Wᵀ + b.
public struct PackedShape: Hashable, Sendable {
  public let rows: Int
  public let outputs: Int
  public let inputs: Int
  /// Between rows of y.
  public let strideY: Int
  /// Of x and W.
  public let precision: Precision

  public init(rows: Int, outputs: Int, inputs: Int, strideY: Int? = nil, precision: Precision) {
    self.rows = rows
    self.outputs = outputs
    self.inputs = inputs
    self.strideY = strideY ?? outputs
    self.precision = precision
  }
}

#if BFloat16
  import COneDNN

  extension BFloat16Support {
    /// - Throws: `Failure` 69 where oneDNN has no bfloat16 for this processor.
    public static func current() throws -> BFloat16Support {
      let version = dnnl_version().pointee
      let library = "oneDNN \(version.major).\(version.minor).\(version.patch)"
      let instructions = dnnl_get_effective_cpu_isa().rawValue
      func has(_ set: dnnl_cpu_isa_t) -> Bool { instructions & set.rawValue == set.rawValue }
      guard has(dnnl_cpu_isa_avx512_core) else {
        throw Failure.unavailable(
          "encoder.precision is bfloat16, which \(library) cannot compute on this processor: it needs AVX-512; use float32"
        )
      }
      let found: Instructions =
        has(dnnl_cpu_isa_avx512_core_amx) ? .amx : has(dnnl_cpu_isa_avx512_core_bf16) ? .avx512 : .emulated
      return BFloat16Support(description: "\(library) (\(found.rawValue))", instructions: found)
    }
  }

  /// oneDNN's code for one shape. Any number of threads may run it at once; each product stays on its caller's thread,
  /// so that its bits depend on its operands alone.
  public final class PackedProduct: @unchecked Sendable {
    public let shape: PackedShape
    /// What a weight takes in the order that `run` reads it in.
    public let packedBytes: Int
    private let primitive: dnnl_primitive_t
    private let scratchpadBytes: Int
    /// By `roles`.
    private let descriptions: UnsafeMutablePointer<dnnl_memory_desc_t>
    private static let roles = [
      ALA_DNNL_SOURCE, ALA_DNNL_WEIGHT, ALA_DNNL_BIAS, ALA_DNNL_TARGET, ALA_DNNL_SCRATCHPAD,
    ].map { Int32($0) }
    private static let packingRoles = [ALA_DNNL_FROM, ALA_DNNL_TO].map { Int32($0) }

    /// - Throws: `Failure` 69 where oneDNN has no such product for this processor.
    public init(_ shape: PackedShape) throws {
      if shape.precision == .bfloat16 { _ = try BFloat16Support.current() }
      let type = shape.precision == .bfloat16 ? dnnl_bf16 : dnnl_f32
      self.shape = shape
      let workspace = OneDNNWorkspace.current
      let (m, n, k) = (Int64(shape.rows), Int64(shape.outputs), Int64(shape.inputs))
      let source = try describe([m, k], type, strides: [k, 1])
      let bias = try describe([1, n], dnnl_f32, strides: [n, 1])
      let target = try describe([m, n], dnnl_f32, strides: [Int64(shape.strideY), 1])
      var free = dnnl_memory_desc_t()
      try check(dnnl_memory_desc_init_by_tag(&free, 2, [k, n], type, dnnl_format_tag_any))
      let plain = try describe([k, n], type, strides: [1, k])
      var primitiveDescription = try Self.choose(source, free, bias, target, workspace)
      defer { dnnl_primitive_desc_destroy(primitiveDescription) }
      // An order with padding would be cleared by every `dnnl_memory_create` on it, in memory that is shared read-only.
      if dnnl_memory_desc_get_size(dnnl_primitive_desc_query_md(primitiveDescription, dnnl_query_weights_md, 0))
        != shape.precision.byteCount * shape.outputs * shape.inputs
      {
        let unpadded = try Self.choose(source, plain, bias, target, workspace)
        dnnl_primitive_desc_destroy(primitiveDescription)
        primitiveDescription = unpadded
      }
      let weight = try present(dnnl_primitive_desc_query_md(primitiveDescription, dnnl_query_weights_md, 0))
      let scratchpad = try present(dnnl_primitive_desc_query_md(primitiveDescription, dnnl_query_scratchpad_md, 0))
      packedBytes = dnnl_memory_desc_get_size(weight)
      scratchpadBytes = dnnl_memory_desc_get_size(scratchpad)
      var primitive: dnnl_primitive_t?
      try check(dnnl_primitive_create(&primitive, primitiveDescription))
      self.primitive = try present(primitive)
      let all = [source, weight.pointee, bias, target, scratchpad.pointee]
      descriptions = .allocate(capacity: all.count)
      for (index, description) in all.enumerated() { (descriptions + index).initialize(to: description) }
    }

    deinit {
      dnnl_primitive_destroy(primitive)
      descriptions.deallocate()
    }

    private static func choose(
      _ source: dnnl_memory_desc_t, _ weight: dnnl_memory_desc_t, _ bias: dnnl_memory_desc_t,
      _ target: dnnl_memory_desc_t, _ workspace: OneDNNWorkspace
    ) throws -> dnnl_primitive_desc_t {
      var (source, weight, bias, target) = (source, weight, bias, target)
      var attributes: dnnl_primitive_attr_t?
      try check(dnnl_primitive_attr_create(&attributes))
      defer { dnnl_primitive_attr_destroy(attributes) }
      try check(dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user))
      var operation = dnnl_matmul_desc_t()
      try check(dnnl_matmul_desc_init(&operation, &source, &weight, &bias, &target))
      var description: dnnl_primitive_desc_t?
      try check(dnnl_primitive_desc_create(&description, &operation, attributes, workspace.engine, nil))
      return try present(description)
    }

    /// Puts W [outputs, inputs], rounded where need be, into `packedBytes` bytes, aligned to 64.
    public func pack(_ packed: UnsafeMutableRawPointer, _ w: ConstFloats) throws {
      let workspace = OneDNNWorkspace.current
      let plain = try describe(
        [Int64(shape.inputs), Int64(shape.outputs)], dnnl_f32, strides: [1, Int64(shape.inputs)])
      var description: dnnl_primitive_desc_t?
      // From the order of the file into that of `roles`' weight.
      let ends = [plain, descriptions[1]]
      try ends.withUnsafeBufferPointer { ends in
        guard let base = ends.baseAddress else { return }
        try check(
          dnnl_reorder_primitive_desc_create(&description, base, workspace.engine, base + 1, workspace.engine, nil))
      }
      defer { dnnl_primitive_desc_destroy(description) }
      var reorder: dnnl_primitive_t?
      try check(dnnl_primitive_create(&reorder, description))
      defer { dnnl_primitive_destroy(reorder) }
      try workspace.execute(
        try present(reorder), roles: Self.packingRoles, ends, UnsafeMutableRawPointer(mutating: w), packed)
    }

    /// y = x·Wᵀ + b. x is rounded to `precision`, products are summed in float32; b is float32.
    ///
    /// - Parameter packed: what `pack` made of W.
    public func run(_ y: Floats, _ x: ConstFloats, packed: UnsafeRawPointer, bias b: ConstFloats) {
      let workspace = OneDNNWorkspace.current
      var operand = UnsafeMutableRawPointer(mutating: x)
      if shape.precision == .bfloat16 {
        let count = shape.rows * shape.inputs
        operand = workspace.input(bytes: 2 * count)
        profiled(.elementwise) { roundToBFloat16(operand.assumingMemoryBound(to: UInt16.self), x, count) }
      }
      profiled(.product) {
        ProductCount.note(.forward, m: shape.rows, n: shape.outputs, k: shape.inputs, packed: shape.precision)
        execute(workspace, y, operand, packed: packed, bias: b)
      }
    }

    private func execute(
      _ workspace: OneDNNWorkspace, _ y: Floats, _ operand: UnsafeMutableRawPointer, packed: UnsafeRawPointer,
      bias b: ConstFloats
    ) {
      do {
        try workspace.execute(
          primitive, roles: Self.roles, descriptions, operand, UnsafeMutableRawPointer(mutating: packed),
          UnsafeMutableRawPointer(mutating: b), UnsafeMutableRawPointer(y),
          workspace.scratchpad(bytes: scratchpadBytes))
      } catch {
        // Only a lack of memory for a few hundred bytes is left, after the primitive has been made.
        fatalError("\(error)")
      }
    }
  }
#else
  extension BFloat16Support {
    /// - Throws: `Failure` 69 always: this program is built without oneDNN.
    public static func current() throws -> BFloat16Support {
      throw Failure.unavailable(
        "encoder.precision is bfloat16, for which this ala was built without oneDNN: install Debian's libdnnl-dev and build "
          + "with `swift build -c release --traits BFloat16`, or use float32")
    }
  }

  /// Stands where oneDNN's would: nobody can make one.
  public final class PackedProduct: Sendable {
    public let shape: PackedShape
    public let packedBytes = 0

    public init(_ shape: PackedShape) throws {
      self.shape = shape
      if shape.precision == .bfloat16 { _ = try BFloat16Support.current() }
      throw Failure.unavailable("packed weights need oneDNN, without which this ala was built")
    }

    public func pack(_ packed: UnsafeMutableRawPointer, _ w: ConstFloats) throws {}
    public func run(_ y: Floats, _ x: ConstFloats, packed: UnsafeRawPointer, bias b: ConstFloats) {}
  }
#endif
