import Foundation
import TestSupport
import Testing

/// What `docs/faq.md` quotes is what is printed where it comes about.

private let fixtures = "\(repositoryRoot)/Tests"

/// What brings a quotation about, by words of it. `train` is `ala train` of small pictures, `done` a run that was begun.
private let provocations = [
  "there is no setting": "train --set training.lrr=1",
  "cannot get its working memory": "(ulimit -v 300000; train --threads 2)",
  // Weights that are no float32 are converted once; the ranks' messages go another way.
  "of shared memory in /dev/shm": """
  unshare --mount sh -c 'mount -t tmpfs -o size=16k none /dev/shm && OMPI_MCA_btl_vader_backing_directory=/tmp \
    mpirun -np 2 --oversubscribe --bind-to none ala train --config c.yaml --set run.dir=shm --stop-after-steps 1 \
    --set lora.blocks=[2] --set side.fusion=[1] --set encoder.heads=4 \
    --set encoder.weights=\(fixtures)/EncoderTests/Fixtures/transformers-bfloat16.safetensors'
  """,
  "torch.save": "printf 'PK\\003\\004%026darchive/data.pkl' 0 >x.pt; train --set encoder.weights=x.pt",
  "no image encoder": """
  printf '\\070\\0\\0\\0\\0\\0\\0\\0%-56s%04d' '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}' 0 >a.safetensors
  train --set encoder.weights=a.safetensors
  """,
  "encoder.activation: gelu": "train --set run.dir=encoder --stop-after-steps 1",
  "how many heads": "train --set encoder.weights=\(fixtures)/EncoderTests/Fixtures/open_clip-float32.safetensors",
  "image.size is": "train --set image.size=33",
  "no image has a mask": """
  cp -r data bare && rm -r bare/segmentations
  train --set data.root=bare --set run.dir=masks --stop-after-steps 1
  """,
  "an EXIF orientation": """
  for class in a b; do
    mkdir -p photos/$class
    for name in 1 2 3 4; do cp \(fixtures)/ImagesTests/Fixtures/odd/turned.jpg photos/$class/$name.jpg; done
  done
  train --set data.root=photos --set data.layout=folders --set run.dir=exif --stop-after-steps 1
  """,
  "no image of a class": "mkdir empty; ala import empty --out imported",
  "mend what is wrong": "mkdir -p odd/a; echo 1 >odd/a/1.jpg; ala import odd --out imported",
  "written with another": "OPENBLAS_CORETYPE=Nehalem train --set run.dir=done --stop-after-steps 1",
  "do not divide": """
  mpirun -np 3 --oversubscribe --bind-to none ala train --config c.yaml --set run.dir=three --stop-after-steps 1
  """,
  "settings that change the result": "train --set run.dir=done --set training.lr=1",
  "was trained": """
  train="--set cache.dtype=float16 --set run.dir=cached --stop-after-steps 1"
  ala cache --config c.yaml --set cache.dtype=float16 && train $train && train $train --set cache.dir=null
  """,
  "the cache is not used": "train --set run.dir=live --set cache.dir=none --stop-after-steps 1",
  "is there already": "echo mine >mine.html; ala report done --out mine.html",
  "an empty folder or a new one": "mkdir mine; echo mine >mine/x; ala synth --out mine",
  "is part of": "ala export --checkpoint done --out done/split.json --overwrite",
  "joins them to no world": "SLURM_STEP_NUM_TASKS=3 train",
  "interrupted at step": """
  ala train --config c.yaml --set training.epochs=100000 --set training.patience=0 --set run.dir=long &
  until grep -qs step long/metrics.jsonl; do sleep 0.05; done
  kill -USR1 $! && wait
  """,
  "updates in a row": """
  train --set training.inject_nan_at_step=1 --set training.max_skipped=1 --set run.dir=nan
  """,
]

/// Those that take long, or a fault that nothing here brings about: by words of them, the test that holds them, if there is one.
private let heldElsewhere = [
  "another run is using this folder": "onlyATakenLockIsCalledTaken",
  "has not answered for": "aStoppedRankIsNamedAndTheJobEndsWithCode69",
  "no rank has got on": nil,
]

/// Which only root may do, and not in every container.
private let canMount = (try? run("/usr/bin/unshare", ["--mount", "mount", "-t", "tmpfs", "none", "/mnt"]))?.code == 0

@Test func everySentenceThatTheQuestionsQuoteIsPrintedWordForWord() throws {
  let bench = try TrainingBench(lanes: 4, cache: "yes")
  let (program, document) = (bench.program as NSString, "\(repositoryRoot)/docs/faq.md")
  let environment = [
    "PATH": "\(program.deletingLastPathComponent):\(ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin")",
    "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
  ]
  func type(_ script: String) throws -> String {
    let train = "train() { ala train --config c.yaml --threads 1 \"$@\"; }\n"
    let result = try run(
      "/bin/sh", ["-c", train + script], in: bench.folder.path, environment: environment, seconds: 60)
    return result.output + result.errors
  }
  _ = try type("train --set run.dir=done --stop-after-steps 1")
  var provoked: Set<String> = []
  for line in try String(contentsOfFile: document, encoding: .utf8).split(separator: "\n") where line.hasPrefix("> `") {
    for quotation in line.matches(of: /`([^`]+)`/).map({ String($0.1) }) {
      let words = provocations.keys.filter { quotation.contains($0) }
      let isHeld = heldElsewhere.keys.contains { quotation.contains($0) }
      #expect(words.count + (isHeld ? 1 : 0) == 1, "\(quotation): by \(words)")
      provoked.formUnion(words)
      guard let script = words.first.flatMap({ provocations[$0] }) else { continue }
      if script.contains("mount"), !isFree(canMount ? nil : "nothing can be mounted: \(quotation)") { continue }
      let pattern = quotation.split(separator: "…").map { NSRegularExpression.escapedPattern(for: String($0)) }
      let printed = try type(script)
      #expect(try printed.contains(Regex(pattern.joined(separator: ".+"))), "\(quotation)\n\(printed)")
    }
  }
  #expect(provoked == Set(provocations.keys))
  let tests = filesBelow("Tests").filter { $0.hasSuffix(".swift") }.compactMap {
    try? String(contentsOfFile: "\(repositoryRoot)/\($0)", encoding: .utf8)
  }
  for name in heldElsewhere.values.compactMap(\.self) {
    #expect(tests.contains { $0.contains("func \(name)(") }, "\(name)")
  }
}
