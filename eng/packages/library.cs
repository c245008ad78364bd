// A program of a user of the packages LandmarkSharp and LandmarkSharp.Model: finds a key in a long text.
using LandmarkSharp;
using LandmarkSharp.Generation;

var around = string.Concat(Enumerable.Repeat("The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.\n", 80));
using var engine = LandmarkEngine.Load(ShippedModel.Folder);
using var session = engine.NewSession();
session.Append($"{around}The code of the archive is 48216.\n{around}");
session.Append("\n\nQuestion: What is the code of the archive?\nAnswer:");
Console.WriteLine(string.Concat(session.Generate(new GenerationOptions { MaxTokens = 16, Stop = ["\n"] }).Select(t => t.Text)));
