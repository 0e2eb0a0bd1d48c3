import Experiments
import Explaining
import Failures
import Networks
import TestSupport
import Testing

/// What the door for explanation methods asks of each, and what it says of one that does not keep it.

/// A map twice by one worker, by a fresh one after another image, and of the same image under another number.
private struct Maps {
  let side: Int
  let first, again, fresh, renumbered: ExplanationMap

  init(_ method: any ExplanationMethod, _ subject: Subject) throws {
    let model = subject.experiment.model
    let makeWorker = try method.prepare(subject.explained)
    let view = subject.view
    let other = ExplainedView(
      imageID: view.imageID + 1, pixels: view.pixels.reversed(), prediction: subject.prediction(view.pixels.reversed()))
    let inference = model.makeInference()
    let worker = makeWorker(inference)
    side = worker.side
    first = worker.map(view, target: 1)
    _ = worker.map(other, target: 0)
    again = worker.map(view, target: 1)
    let another = model.makeInference()
    another.run(pixels: other.pixels, model.encoder)
    fresh = makeWorker(another).map(view, target: 1)
    renumbered = worker.map(
      ExplainedView(imageID: view.imageID + 7, pixels: view.pixels, prediction: view.prediction), target: 1)
  }
}

extension Subject {
  fileprivate func prediction(_ pixels: [UInt8]) -> Prediction {
    let model = experiment.model
    let inference = model.makeInference()
    inference.run(pixels: pixels, model.encoder)
    return Prediction(inference, mapSide: model.mapSide)
  }
}

/// F-CAM's own needs a trained classifier; its runs are tested with the decoder's.
@Test func everyMethodKeepsThePromisesOfTheDoorOnEveryNetworkThatItTakes() throws {
  var seen = Set<String>()
  for kind in ["lattice", "abn", "cam"] {
    let subject = try Subject(["model.kind=\(kind)"])
    let encoder = subject.experiment.model.encoder
    let methods = MethodTable.methods + [RandomisedModel(MethodTable.ownMethod(ofNetwork: kind))]
    for method in methods where (try? method.check(subject.experiment.model)) != nil {
      let name = "\(method.facts.name) of \(kind)"
      seen.insert(method.facts.name)
      let maps = try Maps(method, subject)
      #expect((encoder.grid...encoder.grid * encoder.patch).contains(maps.side), "\(name): \(maps.side)")
      #expect(maps.first.values.count == maps.side * maps.side && maps.first.isFinite, "\(name)")
      #expect(maps.again.values == maps.first.values, "\(name) remembers an image")
      #expect(maps.fresh.values == maps.first.values, "\(name) depends on what its inference holds")
      if !method.facts.isRandom {
        #expect(maps.renumbered.values == maps.first.values, "\(name) depends on the image's number")
      }
      #expect(maps.first.notes.keys.allSatisfy { $0.isASCIILowercase }, "\(name)")
    }
  }
  #expect(Set(MethodTable.methods.map(\.facts.name)).count == MethodTable.methods.count, "a name stands twice")
  #expect(Set(MethodTable.methods.map(\.facts.name)).subtracting(seen) == ["fcam"])
}

extension String {
  fileprivate var isASCIILowercase: Bool { allSatisfy { $0.isASCII && ($0.isLowercase || $0 == "_" || $0.isNumber) } }
}

@Test(arguments: [(4, 15), (4, 17), (4, 0), (3, 9), (40, 1600)])
func aMapOfAnotherSizeIsRefusedWithWhatWasExpected(side: Int, count: Int) throws {
  final class Worker: MapWorker {
    let side: Int
    init(side: Int) { self.side = side }
    func map(_ view: ExplainedView, target: Int) -> ExplanationMap { ExplanationMap([]) }
  }
  let map = ExplanationMap([Float](repeating: 0, count: count))
  let failure = #expect(throws: Failure.self) {
    try Worker(side: side).check(map, sides: 4...32, image: "image 8")
  }
  #expect(
    failure?.code == .internalError && failure?.message.hasPrefix("image 8: the explanation method's map") == true)
  try Worker(side: 4).check(ExplanationMap([Float](repeating: 0, count: 16)), sides: 4...32, image: "image 8")
}
