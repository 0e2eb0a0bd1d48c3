import Tensor

/// The matrix products of the layers' forward and backward passes, for one sample.
extension ProductCount {
  /// A linear map, forward or backward.
  public mutating func linear(_ map: Linear, rows: Int, isBackward: Bool, needsInput: Bool = true, isTrained: Bool) {
    let (i, o, r) = (map.inputs, map.outputs, map.lowRank)
    if isBackward {
      if isTrained { add(.weight, m: o, n: i, k: rows) }
      if needsInput { add(.input, m: rows, n: i, k: o) }
      add(.weight, m: o, n: r, k: rows)
      add(.input, m: rows, n: r, k: o)
      add(.weight, m: r, n: i, k: rows)
      if needsInput { add(.input, m: rows, n: i, k: r) }
    } else {
      add(.forward, m: rows, n: o, k: i, packed: map.packed?.product.shape.precision)
      add(.forward, m: rows, n: r, k: i)
      add(.forward, m: rows, n: o, k: r)
    }
  }

  public mutating func block(
    _ block: TransformerBlock, tokens T: Int, isBackward: Bool, needsInput: Bool = true, isTrained: Bool
  ) {
    for map in [block.q, block.k, block.v] {
      linear(map, rows: T, isBackward: isBackward, needsInput: needsInput, isTrained: isTrained)
    }
    for map in [block.out, block.fc1, block.fc2] {
      linear(map, rows: T, isBackward: isBackward, isTrained: isTrained)
    }
    let head = block.width / block.heads
    if isBackward {
      add(.weight, m: T, n: head, k: T, times: 2 * block.heads)
      // The gradient of the probabilities.
      add(.forward, m: T, n: T, k: head, times: block.heads)
      add(.input, m: T, n: head, k: T, times: block.heads)
    } else {
      add(.forward, m: T, n: T, k: head, times: block.heads)
      add(.input, m: T, n: head, k: T, times: block.heads)
    }
  }

  public mutating func convolution(_ map: Convolution, grid g: Int, isBackward: Bool, needsInput: Bool = true) {
    let depth = map.kernel * map.kernel * map.inputs
    if isBackward {
      add(.weight, m: map.outputs, n: depth, k: g * g)
      if needsInput { add(.input, m: g * g, n: depth, k: map.outputs) }
    } else {
      add(.forward, m: g * g, n: map.outputs, k: depth)
    }
  }
}
