import Tensor

/// A frozen matrix that is to be packed for products: rows `row`..<`row + outputs` of a file's tensor [·, inputs].
struct PackedMatrix {
  let handle: EncoderWeights.Handle
  let row: Int
  let outputs: Int
  let inputs: Int

  init(_ handle: EncoderWeights.Handle, row: Int = 0, outputs: Int, inputs: Int) {
    self.handle = handle
    self.row = row
    self.outputs = outputs
    self.inputs = inputs
  }

  private var count: Int { PackedWeight.count(n: outputs, k: inputs) }

  /// Packs all into one block, of which the processes of a machine share one copy; nil where nothing is packed.
  static func pack(_ matrices: [PackedMatrix], share: EncoderWeights.Share) throws -> [PackedWeight?] {
    let total = matrices.reduce(0) { $0 + $1.count }
    guard total > 0 else { return matrices.map { _ in nil } }
    func weights(_ base: UnsafeRawPointer, isPacked: Bool) -> [PackedWeight] {
      var offset = 0
      return matrices.map { matrix in
        defer { offset += matrix.count }
        let panels = Floats(mutating: base.advanced(by: offset * 4).assumingMemoryBound(to: Float.self))
        return PackedWeight(
          matrix.handle.values + matrix.row * matrix.inputs, n: matrix.outputs, k: matrix.inputs, panels: panels,
          isPacked: isPacked)
      }
    }
    let memory = try share(total * 4) { memory in
      guard let base = memory.baseAddress else { return }
      for weight in weights(UnsafeRawPointer(base), isPacked: false) { weight.update() }
    }
    guard let base = memory.baseAddress else { return matrices.map { _ in nil } }
    return weights(base, isPacked: true)
  }
}
