namespace LandmarkSharp.Text.Chat.Jinja;

/// <summary>The method <c>format</c> of strings: fields that are empty, a number or a name, and braces written twice.</summary>
internal static class TextFormat
{
    public static TaintedText Apply(TaintedText text, Arguments arguments)
    {
        var (positional, named) = (arguments.Rest(), arguments.NamedRest());
        var (formatted, value, next) = (new TextBuilder(arguments.Meter), text.Value, 0);
        for (var i = 0; i < value.Length; i++)
        {
            var c = value[i];
            if (c is '{' or '}' && i + 1 < value.Length && value[i + 1] == c)
            {
                formatted.Append(text.Part(i++, 1));
                continue;
            }
            if (c == '}') throw JinjaException.Failed("a '}' of a format closes nothing");
            if (c != '{')
            {
                formatted.Append(text.Part(i, 1));
                continue;
            }
            var end = value.IndexOf('}', i);
            if (end < 0) throw JinjaException.Failed("a '{' of a format is not closed");
            var field = value[(i + 1)..end];
            if (!field.All(f => char.IsLetterOrDigit(f) || f == '_')) throw JinjaException.Unsupported($"the field '{{{field}}}' of a format");
            formatted.Append(Python.Text(arguments.Meter, Field(field)));
            i = end;
        }
        return formatted.ToText();

        object? Field(string field)
        {
            if (field.Length == 0 || int.TryParse(field, out _))
            {
                var place = field.Length == 0 ? next++ : int.Parse(field);
                return place < positional.Count ? positional[place] : throw JinjaException.Failed($"a format has no value for its field {place}");
            }
            foreach (var (name, with) in named)
                if (name == field) return with;
            throw JinjaException.Failed($"a format has no value for its field '{field}'");
        }
    }
}
