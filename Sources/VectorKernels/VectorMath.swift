// Elementary functions on sixteen float32 at a time, without calls and without branches.
//
// Every loop handles its tail through the same vector code, so an element's bits never depend on where it stands; and
// every operation is one of IEEE 754, so they do not depend on the width of the processor's vectors either.
//
// A closure that is called in two places stays a function of its own, whose vectors go through memory: what a loop does
// is therefore a local function that is always inlined.

import CVectorMath

public typealias Floats = UnsafeMutablePointer<Float>
public typealias ConstFloats = UnsafePointer<Float>
typealias Vector = SIMD16<Float>
public let vectorWidth = 16

@inline(always)
func load(_ p: ConstFloats) -> Vector { UnsafeRawPointer(p).loadUnaligned(as: Vector.self) }

@inline(always)
func store(_ v: Vector, _ p: Floats) { UnsafeMutableRawPointer(p).storeBytes(of: v, as: Vector.self) }

@inline(always)
func loadPart(_ p: ConstFloats, _ count: Int) -> Vector {
  var v = Vector.zero
  for i in 0..<count { v[i] = p[i] }
  return v
}

@inline(always)
func storePart(_ v: Vector, _ p: Floats, _ count: Int) {
  for i in 0..<count { p[i] = v[i] }
}

/// The next `count` values, a vector's at most.
@inline(always)
func load(_ p: ConstFloats, _ count: Int) -> Vector { count == vectorWidth ? load(p) : loadPart(p, count) }

@inline(always)
func store(_ v: Vector, _ p: Floats, _ count: Int) {
  if count == vectorWidth { store(v, p) } else { storePart(v, p, count) }
}

/// Calls `body` with the first index and the size of each vector's worth of `count` values; the size is a constant but
/// for the tail.
@inline(always)
func forVectors(_ count: Int, _ body: (Int, Int) -> Void) {
  var i = 0
  while i + vectorWidth <= count {
    body(i, vectorWidth)
    i += vectorWidth
  }
  if i < count { body(i, count - i) }
}

/// y[i] = f(x[i]); x and y may be the same.
@inline(always)
func map(_ y: Floats, _ x: ConstFloats, _ count: Int, _ f: (Vector) -> Vector) {
  @inline(always) func step(_ i: Int, _ n: Int) { store(f(load(x + i, n)), y + i, n) }
  forVectors(count, step)
}

/// y[i] = f(a[i], b[i]).
@inline(always)
func map(_ y: Floats, _ a: ConstFloats, _ b: ConstFloats, _ count: Int, _ f: (Vector, Vector) -> Vector) {
  @inline(always) func step(_ i: Int, _ n: Int) { store(f(load(a + i, n), load(b + i, n)), y + i, n) }
  forVectors(count, step)
}

/// Σ of the vectors that `term` gives for `count` values, in sixteen interleaved partial sums, added up in index order:
/// the order depends on `count` alone.
@inline(always)
func sum(_ count: Int, _ term: (Int, Int) -> Vector) -> Float {
  var total = Vector.zero
  var i = 0
  while i + vectorWidth <= count {
    total += term(i, vectorWidth)
    i += vectorWidth
  }
  return orderedSum(total, and: i < count ? term(i, count - i) : Vector.zero, count - i)
}

/// Σ x, added up in that order.
@inline(always)
func sum(_ x: ConstFloats, _ count: Int) -> Float {
  @inline(always) func term(_ i: Int, _ n: Int) -> Vector { load(x + i, n) }
  return sum(count, term)
}

/// The sixteen parts of a sum added up in their order.
@inline(always)
func orderedSum(_ parts: Vector) -> Float {
  var result: Float = 0
  for lane in 0..<vectorWidth { result += parts[lane] }
  return result
}

/// The same, and behind it the first `count` terms of a tail.
@inline(always)
func orderedSum(_ parts: Vector, and tail: Vector, _ count: Int) -> Float {
  var result = orderedSum(parts)
  for lane in 0..<count { result += tail[lane] }
  return result
}

/// exp(x), relative error below 2e-7; 0 below -87.3, and the largest finite results above 88.3.
@inline(always)
func exponential(_ x: Vector) -> Vector {
  let low = Vector(repeating: -87.3)
  let high = Vector(repeating: 88.3)
  let clamped = x.replacing(with: low, where: x .< low).replacing(with: high, where: x .> high)
  // Adding 1.5·2²³ rounds to the nearest integer; SIMD16.rounded() would call a function for each lane.
  let magic = Vector(repeating: 12_582_912)
  let shifted = magic.addingProduct(clamped, Vector(repeating: 1.442_695_04))
  let n = shifted - magic
  var r = clamped.addingProduct(n, Vector(repeating: -0.693_359_375))
  r = r.addingProduct(n, Vector(repeating: 2.121_944_4e-4))
  // Taylor's series to r⁷ on |r| ≤ ln 2 / 2: the first term left out is below 6e-9.
  var p = Vector(repeating: 1.0 / 5040)
  p = Vector(repeating: 1.0 / 720).addingProduct(p, r)
  p = Vector(repeating: 1.0 / 120).addingProduct(p, r)
  p = Vector(repeating: 1.0 / 24).addingProduct(p, r)
  p = Vector(repeating: 1.0 / 6).addingProduct(p, r)
  p = Vector(repeating: 0.5).addingProduct(p, r)
  p = Vector(repeating: 1).addingProduct(p, r)
  p = Vector(repeating: 1).addingProduct(p, r)
  let bits = unsafeBitCast(shifted, to: SIMD16<UInt32>.self)
  let scale = unsafeBitCast((bits &+ 127) &<< 23, to: Vector.self)
  let result = p * scale
  return result.replacing(with: Vector.zero, where: x .< low)
}

/// √x; SIMD16.squareRoot() would call a function for each lane.
@inline(always)
func squareRoot(_ x: Vector) -> Vector { ala_square_root(x) }

/// 1 / (1 + exp(-x)).
@inline(always)
func logistic(_ x: Vector) -> Vector {
  Vector(repeating: 1) / (Vector(repeating: 1) + exponential(-x))
}

/// erf(x), absolute error below 4e-7: x·P(x²)/Q(x²) on |x| ≤ 3.92, where erf differs from 1 by less than 3e-8.
/// The coefficients are a weighted least-squares fit of our own to erf(x)/x.
@inline(always)
func errorFunction(_ x: Vector) -> Vector {
  let limit = Vector(repeating: 3.92)
  let t = x.replacing(with: limit, where: x .> limit).replacing(with: -limit, where: x .< -limit)
  let z = t * t
  var p = Vector(repeating: 2.050_108_15e-6)
  p = Vector(repeating: 2.848_802_8e-4).addingProduct(p, z)
  p = Vector(repeating: 3.765_508_8e-3).addingProduct(p, z)
  p = Vector(repeating: 5.274_839_3e-2).addingProduct(p, z)
  p = Vector(repeating: 0.190_403_94).addingProduct(p, z)
  p = Vector(repeating: 1.128_379_1).addingProduct(p, z)
  var q = Vector(repeating: 3.809_180_6e-5)
  q = Vector(repeating: 1.162_509_3e-3).addingProduct(q, z)
  q = Vector(repeating: 1.496_900_2e-2).addingProduct(q, z)
  q = Vector(repeating: 0.114_108_07).addingProduct(q, z)
  q = Vector(repeating: 0.502_073_82).addingProduct(q, z)
  q = Vector(repeating: 1).addingProduct(q, z)
  return t * p / q
}
