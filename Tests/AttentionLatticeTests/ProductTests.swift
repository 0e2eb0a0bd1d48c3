import AttentionLattice
import Networks
import Tensor
import Testing

/// What the model says of its matrix products against those that its kernels make.

/// Floating-point operations by form and type: a 3×3 convolution is stated as one product and made as three.
private func operations(_ count: ProductCount, times: Int = 1) -> [String: Double] {
  var sums: [String: Double] = [:]
  for (shape, number) in count.counts {
    sums["\(shape.form), \(shape.packed.map { $0.rawValue } ?? "plain")", default: 0] +=
      shape.flop * Double(number * times)
  }
  return sums
}

@Test(arguments: variants) func theStatedProductsOfAStepAreTheOnesThatAreMade(variant: String) throws {
  let setup = try Setup(variant)
  let pass = setup.makePass()
  for phase in setup.model.phases {
    for isLive in [true, false] {
      try setup.load(pass)
      for (index, label) in setup.labels.enumerated() {
        pass.set(index, label: label, input: isLive ? .pixels : .features(tail: setup.model.encoder.firstLoRABlock - 1))
      }
      let made = ProductCount.made { _ = pass.run(phase, at: StepPlace(seed: 0, epoch: 1, step: 1)) }
      let stated = setup.model.trainingProducts(phase, isLive: isLive)
      #expect(
        operations(made) == operations(stated, times: setup.labels.count), "\(phase.name), live \(isLive)")
    }
  }
}

@Test(arguments: variants) func theStatedProductsOfInferenceAreTheOnesThatAreMade(variant: String) throws {
  let setup = try Setup(variant)
  let inference = LatticeInference(setup.model)
  #expect(
    operations(ProductCount.made { inference.run(.pixels) }) == operations(setup.model.inferenceProducts()))
  #expect(
    operations(ProductCount.made { inference.encodeWholly() }) == operations(setup.model.encoderProducts(whole: true)))
}
