import AttentionLattice
import Cluster
import Dataset
import Experiments
import Explaining
import Failures
import Foundation
import Metrics
import Networks
import Settings
import TestSupport
import Testing

/// Explanation methods through the one door by which all of them come.

@Test func aMethodIsFoundByItsNameAndAnUnknownOneNamesThoseThereAre() throws {
  for method in MethodTable.methods {
    #expect(try MethodTable.method(method.facts.name).facts.name == method.facts.name)
  }
  #expect(try MethodTable.method("randomised:ala").facts.name == "randomised:ala")
  for name in ["lime", "randomised:lime", "randomised:gaussian", "randomised:randomised:ala", "ALA", ""] {
    do {
      _ = try MethodTable.method(name)
      Issue.record("\(name) is taken for a method")
    } catch let failure as Failure {
      #expect(failure.code == .usage, "\(failure)")
    }
  }
}

@Test func everyControlOfASummaryIsAMethodOfTheTable() {
  for control in Control.allCases {
    let name = MethodTable.method(of: control, network: "lattice").facts.name
    #expect((try? MethodTable.method(name).facts.name) == name)
  }
}

/// A method whose part i of n is the i-th n-th of a ramp, and which notes who asked for what.
private struct Ramp: ExplanationMethod {
  static let parts = 5
  let facts = MethodFacts(name: "ramp", title: "Ramp", source: nil)

  func prepare(_ subject: ExplainedModel) -> @Sendable (any NetworkInference) -> any MapWorker { { _ in Worker() } }

  final class Worker: PartwiseWorker {
    let side = 5
    let mostParts = Ramp.parts

    func part(_ index: Int, of view: ExplainedView, target: Int) -> [Float] {
      (0..<5).map { Float(5 * index + $0 + target) }
    }

    func merge(_ parts: [[Float]], of view: ExplainedView, target: Int) -> ExplanationMap {
      ExplanationMap(parts.flatMap { $0 })
    }
  }
}

@Test func aPartwiseMapIsItsPartsInTheirOrder() {
  let worker = Ramp.Worker()
  let view = ExplainedView(imageID: 0, pixels: [], prediction: Prediction(probabilities: [1], map: nil))
  #expect(worker.map(view, target: 2).values == (0..<25).map { Float($0 + 2) })
}
