// Elementary functions on sixteen float32 at a time, without calls and without branches.
//
// Every loop handles its tail through the same vector code, so an element's bits never depend on where it stands.

public typealias Vector = SIMD16<Float>
let vectorWidth = 16

@inline(__always)
func load(_ p: ConstFloats) -> Vector { UnsafeRawPointer(p).loadUnaligned(as: Vector.self) }

@inline(__always)
func store(_ v: Vector, _ p: Floats) { UnsafeMutableRawPointer(p).storeBytes(of: v, as: Vector.self) }

@inline(__always)
func loadPart(_ p: ConstFloats, _ count: Int) -> Vector {
  var v = Vector.zero
  for i in 0..<count { v[i] = p[i] }
  return v
}

@inline(__always)
func storePart(_ v: Vector, _ p: Floats, _ count: Int) {
  for i in 0..<count { p[i] = v[i] }
}

/// y[i] = f(x[i]); x and y may be the same.
@inline(__always)
func map(_ y: Floats, _ x: ConstFloats, _ count: Int, _ f: (Vector) -> Vector) {
  var i = 0
  while i + vectorWidth <= count {
    store(f(load(x + i)), y + i)
    i += vectorWidth
  }
  if i < count { storePart(f(loadPart(x + i, count - i)), y + i, count - i) }
}

/// y[i] = f(a[i], b[i]).
@inline(__always)
func map(_ y: Floats, _ a: ConstFloats, _ b: ConstFloats, _ count: Int, _ f: (Vector, Vector) -> Vector) {
  var i = 0
  while i + vectorWidth <= count {
    store(f(load(a + i), load(b + i)), y + i)
    i += vectorWidth
  }
  if i < count { storePart(f(loadPart(a + i, count - i), loadPart(b + i, count - i)), y + i, count - i) }
}

/// (y[i], x[i]) = f(x[i]): a function beside its derivative, which takes the argument's place.
@inline(__always)
func map(_ y: Floats, _ x: Floats, _ count: Int, _ f: (Vector) -> (Vector, Vector)) {
  var i = 0
  while i + vectorWidth <= count {
    let (value, derivative) = f(load(x + i))
    store(value, y + i)
    store(derivative, x + i)
    i += vectorWidth
  }
  if i < count {
    let (value, derivative) = f(loadPart(x + i, count - i))
    storePart(value, y + i, count - i)
    storePart(derivative, x + i, count - i)
  }
}

/// Σ f(a[i], b[i]) in sixteen interleaved partial sums, added up in index order: the order depends on `count` alone.
@inline(__always)
func sum(_ a: ConstFloats, _ b: ConstFloats, _ count: Int, _ f: (Vector, Vector) -> Vector) -> Float {
  var total = Vector.zero
  var i = 0
  while i + vectorWidth <= count {
    total += f(load(a + i), load(b + i))
    i += vectorWidth
  }
  var result = orderedSum(total)
  if i < count {
    let part = f(loadPart(a + i, count - i), loadPart(b + i, count - i))
    for lane in 0..<(count - i) { result += part[lane] }
  }
  return result
}

/// The sixteen parts of a sum added up in their order.
@inline(__always)
func orderedSum(_ parts: Vector) -> Float {
  var result: Float = 0
  for lane in 0..<vectorWidth { result += parts[lane] }
  return result
}

/// exp(x), relative error below 2e-7; 0 below -87.3, and the largest finite results above 88.3.
@inline(__always)
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
  let bits = SIMD16<UInt32>(truncatingIfNeeded: unsafeBitCast(shifted, to: SIMD16<UInt32>.self))
  let scale = unsafeBitCast((bits &+ 127) &<< 23, to: Vector.self)
  let result = p * scale
  return result.replacing(with: Vector.zero, where: x .< low)
}

/// 1 / (1 + exp(-x)).
@inline(__always)
func logistic(_ x: Vector) -> Vector {
  Vector(repeating: 1) / (Vector(repeating: 1) + exponential(-x))
}

/// erf(x), absolute error below 4e-7: x·P(x²)/Q(x²) on |x| ≤ 3.92, where erf differs from 1 by less than 3e-8.
/// The coefficients are a weighted least-squares fit of our own to erf(x)/x.
@inline(__always)
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
