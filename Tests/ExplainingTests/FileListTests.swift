import Explaining
import Failures
import Foundation
import TestSupport
import Testing

/// Which files `ala explain` takes a folder for.

@Test func aFolderStandsForThePicturesInItAndBelowItAndANameThatIsNoUTF8IsTold() throws {
  let folder = try TemporaryFolder()
  let root = folder.path
  let made = try run(
    "/bin/sh",
    [
      "-c",
      "cd '\(root)'; mkdir -p a/b .c empty; touch z.JPG a/b/x.png a/notes.txt .c/y.jpeg; ln -s a link; ln -s z.JPG l.jpg",
    ])
  try #require(made.code == 0)
  let expected = [".c/y.jpeg", "a/b/x.png", "l.jpg", "z.JPG"].map { "\(root)/\($0)" }
  #expect(try listImages([root]) == expected)
  #expect(throws: Failure.missingInput("\(root)/empty: holds no JPEG or PNG file")) {
    try listImages(["\(root)/empty"])
  }
  for (make, place) in [("touch a/b/$odd.jpg", "/a/b/caf\\xe9.jpg"), ("mkdir -p $odd", "/caf\\xe9")] {
    try #require(try run("/bin/sh", ["-c", "cd '\(root)'; odd=$(printf 'caf\\351'); \(make)"]).code == 0)
    let failure = #expect(throws: Failure.self) { try listImages([root]) }
    #expect(
      failure?.code == .badData && failure?.message.hasPrefix("\(root)\(place): its name") == true, "\(failure as Any)")
  }
  _ = try run("/bin/rm", ["-rf", root])
}
