/// A sum over pixels weighed by a Gaussian of their places and colours, in linear time (Adams et al., "Fast
/// High-Dimensional Filtering Using the Permutohedral Lattice", Eurographics 2010): features of five dimensions are
/// splatted onto the corners of the lattice's simplices, blurred along its six axes, and sliced.
///
/// It approximates the sum, not normalised: an impulse keeps the mass of its Gaussian. Beside the vertices that pixels
/// reach, the lattice has all their neighbours, for without these the blur would lose about a quarter of the sum. The
/// blur in one order of axes is the adjoint of that in the other, so that gradients are those of what is computed
/// (`quadraticForm`).
///
/// All memory is the caller's; pages that a picture does not need are not touched.
public struct PermutohedralLattice {
  /// d: x, y, red, green, blue.
  static let dimensions = 5
  /// Corners of a simplex, and axes.
  static let corners = dimensions + 1
  /// Values of a pixel: S of both classes.
  static let channels = 2

  let pixelCount: Int
  private(set) var vertexCount = 0
  /// Of each pixel's corners [pixels, 6]: which vertex, and with what weight.
  let vertices: UnsafeMutablePointer<Int32>
  let weights: Floats
  /// Hash table [slots] of vertices, −1 where empty, and the vertices' keys.
  private let slots: UnsafeMutablePointer<Int32>
  private let slotCount: Int
  private let keys: UnsafeMutablePointer<SIMD8<Int32>>
  /// Vertices one step up and down each axis [6, vertices, 2], `absent` where there is none.
  let neighbours: UnsafeMutablePointer<Int32>
  /// [vertices + 1, 2], the first of which stays zero: what is absent.
  let values: (Floats, Floats)
  private static let absent: Int32 = 0

  /// Neighbours beyond so many vertices are left out; pictures that reach them are noise.
  private static func mostVertices(pixels: Int) -> Int { max(pixels * corners, 1 << 16) }
  private let mostVertices: Int

  /// The floats that a lattice of `pixels` takes at most.
  public static func count(pixels: Int) -> Int { layout(pixels: pixels).count }

  private struct Places {
    var vertices = 0
    var weights = 0
    var slots = 0
    var keys = 0
    var neighbours = 0
    var values = (0, 0)
    var count = 0
  }

  private static func slotCount(pixels: Int) -> Int {
    var count = 64
    while count < 2 * mostVertices(pixels: pixels) { count *= 2 }
    return count
  }

  private static func layout(pixels: Int) -> Places {
    var layout = Layout()
    var places = Places()
    let most = mostVertices(pixels: pixels) + 1
    places.vertices = layout.take(pixels * corners)
    places.weights = layout.take(pixels * corners)
    places.slots = layout.take(slotCount(pixels: pixels))
    places.keys = layout.take(8 * most)
    places.neighbours = layout.take(2 * corners * most)
    places.values = (layout.take(channels * most), layout.take(channels * most))
    places.count = layout.count
    return places
  }

  /// - Parameter memory: of `count(pixels:)` floats, on a cache line.
  public init(_ memory: Floats, pixels: Int) {
    let at = Self.layout(pixels: pixels)
    func integers(_ offset: Int, _ count: Int) -> UnsafeMutablePointer<Int32> {
      UnsafeMutableRawPointer(memory + offset).bindMemory(to: Int32.self, capacity: count)
    }
    mostVertices = Self.mostVertices(pixels: pixels)
    let most = mostVertices + 1
    pixelCount = pixels
    vertices = integers(at.vertices, pixels * Self.corners)
    weights = memory + at.weights
    slotCount = Self.slotCount(pixels: pixels)
    slots = integers(at.slots, slotCount)
    keys = UnsafeMutableRawPointer(memory + at.keys).bindMemory(to: SIMD8<Int32>.self, capacity: most)
    neighbours = integers(at.neighbours, 2 * Self.corners * most)
    values = (memory + at.values.0, memory + at.values.1)
  }

  // MARK: Construction

  /// Places the pixels of a picture in the lattice.
  ///
  /// - Parameters:
  ///   - colours: [side, side, 3], 0…255.
  ///   - sigmaXY, sigmaRGB: the Gaussian's deviations in pixels and in levels.
  public mutating func build(side: Int, colours: ConstFloats, sigmaXY: Float, sigmaRGB: Float) {
    precondition(side * side == pixelCount)
    profiled(.gather) { place(side: side, colours: colours, sigmaXY: sigmaXY, sigmaRGB: sigmaRGB) }
  }

  private mutating func place(side: Int, colours: ConstFloats, sigmaXY: Float, sigmaRGB: Float) {
    slots.update(repeating: -1, count: slotCount)
    vertexCount = 0
    // A feature's coordinates on the plane of those whose sum is 0; a step of the lattice, blurred once along every axis,
    // has the deviation 1.
    let unit = Float(2.0 / 3).squareRoot() * Float(Self.corners)
    func axis(_ feature: Int, sigma: Float) -> SIMD8<Float> {
      let scale = unit / Float((feature + 1) * (feature + 2)).squareRoot() / sigma
      var axis = SIMD8<Float>.zero
      for i in 0...feature { axis[i] = scale }
      axis[feature + 1] = -Float(feature + 1) * scale
      return axis
    }
    let (x, y) = (axis(0, sigma: sigmaXY), axis(1, sigma: sigmaXY))
    let (red, green, blue) = (axis(2, sigma: sigmaRGB), axis(3, sigma: sigmaRGB), axis(4, sigma: sigmaRGB))
    var last = (SIMD8<Float>.zero, SIMD8<Float>.zero)
    for row in 0..<side {
      for column in 0..<side {
        let pixel = row * side + column
        let colour = colours + 3 * pixel
        let place = x * Float(column) + y * Float(row) + red * colour[0] + green * colour[1] + blue * colour[2]
        insert(pixel, at: place, last: &last)
      }
    }
    addNeighbours()
    findNeighbours()
  }

  /// Inserts the corners of the simplex around a point of the plane, with the point's weights at them.
  ///
  /// - Parameter last: nearest point and ranks of the pixel before, whose corners it may share.
  private mutating func insert(_ pixel: Int, at place: SIMD8<Float>, last: inout (SIMD8<Float>, SIMD8<Float>)) {
    let d = Self.dimensions
    let size = Float(Self.corners)
    let inner = place * (1 / size)
    // The nearest point of the lattice's coarse grid, the multiples of d + 1. Adding 1.5·2²³ rounds to whole numbers.
    var nearest = (inner + Self.magic) - Self.magic
    var sum: Float = 0
    for i in 0...d { sum += nearest[i] }
    let offset = inner - nearest
    // The order of the offsets from it tells the simplex; equal ones by their place.
    let lanes = SIMD8<Int32>(0, 1, 2, 3, 4, 5, 6, 7)
    var rank = SIMD8<Float>(repeating: sum)
    for other in 0...d {
      let value = SIMD8<Float>(repeating: offset[other])
      let isBehind = (offset .< value) .| ((offset .== value) .& (lanes .> Int32(other)))
      rank.replace(with: rank + 1, where: isBehind)
    }
    // Back onto the plane.
    let (isAbove, isBelow) = (rank .> Float(d), rank .< 0)
    nearest.replace(with: nearest - 1, where: isAbove)
    rank.replace(with: rank - size, where: isAbove)
    nearest.replace(with: nearest + 1, where: isBelow)
    rank.replace(with: rank + size, where: isBelow)

    let shares = inner - nearest
    let order = Self.whole(rank)
    let sorted = values.0
    for i in 0...d { sorted[Int(order[i])] = shares[i] }
    let (corners, weights) = (vertices + pixel * Self.corners, weights + pixel * Self.corners)
    weights[0] = 1 - (sorted[0] - sorted[d])
    for corner in 1...d { weights[corner] = sorted[d - corner] - sorted[d + 1 - corner] }
    let isBeyond = lanes .> Int32(d)
    nearest.replace(with: SIMD8<Float>.zero, where: isBeyond)
    rank.replace(with: SIMD8<Float>.zero, where: isBeyond)
    if pixel > 0, nearest == last.0, rank == last.1 {
      return corners.update(from: corners - Self.corners, count: Self.corners)
    }
    last = (nearest, rank)
    let base = Self.whole(nearest * size)
    for corner in 0...d {
      var key = base &+ Int32(corner)
      key.replace(with: key &- Int32(Self.corners), where: rank .> Float(d - corner))
      key.replace(with: SIMD8<Int32>.zero, where: isBeyond)
      corners[corner] = insert(key)
    }
  }

  private static let magic = SIMD8<Float>(repeating: 12_582_912)

  /// Whole numbers of less than 2²² as integers.
  @inline(__always)
  private static func whole(_ v: SIMD8<Float>) -> SIMD8<Int32> {
    unsafeBitCast(v + magic, to: SIMD8<Int32>.self) &- 0x4B40_0000
  }

  @inline(__always)
  private func slot(of key: SIMD8<Int32>) -> Int {
    let words = unsafeBitCast(key, to: SIMD4<UInt64>.self)
    var hash = (words[0] &* 0x9E37_79B9_7F4A_7C15 ^ words[1]) &* 0xBF58_476D_1CE4_E5B9 ^ words[2]
    hash = (hash ^ hash >> 29) &* 0x94D0_49BB_1331_11EB
    hash ^= hash >> 32
    return Int(truncatingIfNeeded: hash & UInt64(slotCount - 1))
  }

  /// The vertex of a key, from 1; a new one where there is none.
  private mutating func insert(_ key: SIMD8<Int32>) -> Int32 {
    var slot = slot(of: key)
    while slots[slot] >= 0 {
      if keys[Int(slots[slot])] == key { return slots[slot] }
      slot = (slot + 1) & (slotCount - 1)
    }
    vertexCount += 1
    keys[vertexCount] = key
    slots[slot] = Int32(vertexCount)
    return Int32(vertexCount)
  }

  private func find(_ key: SIMD8<Int32>) -> Int32 {
    var slot = slot(of: key)
    while slots[slot] >= 0 {
      if keys[Int(slots[slot])] == key { return slots[slot] }
      slot = (slot + 1) & (slotCount - 1)
    }
    return Self.absent
  }

  /// A step along an axis: the other coordinates rise by 1.
  private func step(_ axis: Int) -> SIMD8<Int32> {
    var step = SIMD8<Int32>.zero
    for i in 0..<Self.corners { step[i] = i == axis ? Int32(-Self.dimensions) : 1 }
    return step
  }

  private mutating func addNeighbours() {
    let reached = vertexCount
    for axis in 0..<Self.corners {
      let step = step(axis)
      for vertex in 1..<max(reached + 1, 1) where vertexCount + 2 <= mostVertices {
        _ = insert(keys[vertex] &+ step)
        _ = insert(keys[vertex] &- step)
      }
    }
  }

  private func findNeighbours() {
    for axis in 0..<Self.corners {
      let step = step(axis)
      for vertex in 1..<max(vertexCount + 1, 1) {
        let target = neighbours + (axis * vertexCount + vertex - 1) * 2
        target[0] = find(keys[vertex] &+ step)
        target[1] = find(keys[vertex] &- step)
      }
    }
  }
}
