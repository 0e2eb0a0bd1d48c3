import Foundation
import TestSupport
import Testing

/// `docs/faq.md` quotes what the program says, in the code spans of its quotations; … stands for what differs.

/// What programs and scripts say: their sources, pieces of a text joined.
private let sources: String = {
  let files = (filesBelow("Sources") + filesBelow("launch") + filesBelow("scripts")).compactMap {
    try? String(contentsOfFile: "\(repositoryRoot)/\($0)", encoding: .utf8)
  }
  return files.joined(separator: "\n").replacing(/"\s*\+ "/, with: "")
}()

private func piecesThatNobodySays(in quotation: String) -> [String] {
  quotation.components(separatedBy: "…").map { $0.trimmingCharacters(in: .whitespaces) }
    .filter { $0.count > 2 && !sources.contains($0) }
}

@Test func everySentenceThatTheQuestionsQuoteIsOneOfTheProgram() {
  let document = Document(path: "docs/faq.md")
  let quotations = document.prose.filter { $0.hasPrefix("> `") }.flatMap { line in
    line.matches(of: /`([^`]+)`/).map { String($0.1) }
  }
  #expect(quotations.count >= 20)
  for quotation in quotations {
    let unsaid = piecesThatNobodySays(in: quotation)
    #expect(unsaid.isEmpty, "docs/faq.md: \(quotation)")
  }
  #expect(!piecesThatNobodySays(in: "no image has a mask: looked … everywhere, in vain").isEmpty)
}
