// Products of matrices as they lie, by oneDNN.

#if BFloat16
  import COneDNN

  /// C [rows, columns] = scale·A [rows, depth]·B [depth, columns] + beta·C, on the calling thread.
  func multiplyByOneDNN(
    _ c: Floats, _ strideC: Int, _ a: GEMMOperand, _ b: GEMMOperand, rows: Int, columns: Int, depth: Int, scale: Float,
    beta: Float
  ) {
    // The workspace is what keeps OpenMP to this thread.
    _ = OneDNNWorkspace.current
    let status = dnnl_sgemm(
      letter(a.isTransposed), letter(b.isTransposed), Int64(rows), Int64(columns), Int64(depth), scale, a.values,
      Int64(a.stride), b.values, Int64(b.stride), beta, c, Int64(strideC))
    // Refused are only sizes that no caller has, and memory, whose lack ends the program before.
    guard status == dnnl_success else { fatalError("oneDNN refused a product (status \(status.rawValue))") }
  }

  @inline(__always)
  private func letter(_ isTransposed: Bool) -> CChar {
    CChar(bitPattern: isTransposed ? UInt8(ascii: "T") : UInt8(ascii: "N"))
  }
#else
  /// Not reached: without oneDNN nobody can choose it.
  func multiplyByOneDNN(
    _ c: Floats, _ strideC: Int, _ a: GEMMOperand, _ b: GEMMOperand, rows: Int, columns: Int, depth: Int, scale: Float,
    beta: Float
  ) {
    preconditionFailure("this program is not linked with oneDNN")
  }
#endif
