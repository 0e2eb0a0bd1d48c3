import AttentionLattice
import Explaining
import Networks
import Settings
import Tensor
import TestSupport
import Testing

/// Grad-CAM and attention rollout against PyTorch in double (`scripts/fixtures/explanations.py`).

/// A variant's images, each with what the model makes of it.
private struct Images {
  let setup: Setup
  let fixture: Fixture
  let views: [ExplainedView]

  init(_ variant: String) throws {
    setup = try Setup(variant)
    fixture = try Fixture("explanations.safetensors", testFile: #filePath)
    let pixels = try setup.fixture.bytes("pixels")
    let size = pixels.count / setup.labels.count
    views = setup.labels.indices.map {
      ExplainedView(
        imageID: $0, pixels: Array(pixels[($0 * size)..<(($0 + 1) * size)]),
        prediction: Prediction(probabilities: [], map: nil))
    }
  }

  /// The largest difference of a method's maps of all images from the reference.
  func difference(_ method: any ExplanationMethod, _ name: String) throws -> Double {
    let configuration = try Configuration.load(file: nil, sets: ["data.root=none", "encoder.weights=none"])
    let subject = ExplainedModel(setup.model, configuration) { [setup] in setup.model }
    let inference = setup.model.makeInference()
    let worker = try method.prepare(subject)(inference)
    // What another image has left in the inference must not matter.
    inference.run(pixels: views[views.count - 1].pixels, setup.model.encoder)
    let maps = zip(views, setup.labels).flatMap { worker.map($0, target: $1).values }
    return TestSupport.difference(maps, try fixture.doubles(name))
  }
}

@Test(.eachLibrary, arguments: variants) func gradientsOfLogitsByThePatchesFeaturesAgreeWithPyTorch(variant: String)
  throws
{
  let images = try Images(variant)
  let model = images.setup.model
  let inference = try #require(model.makeInference() as? any DifferentiableInference)
  let count = model.encoder.patchCount * model.encoder.width
  let gradients = zip(images.views, images.setup.labels).flatMap { view, label in
    inference.run(pixels: view.pixels, model.encoder)
    // The gradient of another logit leaves nothing behind.
    _ = inference.gradient(ofLogit: (label + 1) % model.classes)
    return Array(UnsafeBufferPointer(start: inference.gradient(ofLogit: label), count: count))
  }
  let difference = difference(gradients, try images.fixture.doubles("\(variant)/gradient"))
  noteDifference("gradient of a logit by h(k)", reference: "PyTorch, double", difference, limit: 1e-4)
  #expect(difference < 1e-4)
}

@Test(.eachLibrary, arguments: variants) func gradCAMAgreesWithPyTorch(variant: String) throws {
  let difference = try Images(variant).difference(GradCAM(), "\(variant)/gradcam")
  noteDifference("map of Grad-CAM", reference: "PyTorch, double", difference, limit: 1e-4)
  #expect(difference < 1e-4)
}

@Test(.eachLibrary, arguments: variants) func attentionRolloutAgreesWithPyTorch(variant: String) throws {
  let difference = try Images(variant).difference(AttentionRollout(), "\(variant)/rollout")
  noteDifference("map of attention rollout", reference: "PyTorch, double", difference, limit: 1e-5)
  #expect(difference < 1e-5)
}
