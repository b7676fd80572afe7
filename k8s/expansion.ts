/**
 * A text escaped so that Kubernetes does not expand it: in commands, arguments and variables it replaces `$(NAME)` by
 * the variable of that name, which ECS does not, and `$$` by `$`.
 * https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#environment-variables
 */
export function withoutExpansion(text: string, variables: ReadonlySet<string>): string {
  return text.replaceAll(/\$+(\(([^)]*)\))?/g, (match, reference?: string, name?: string) => {
    const signs = match.length - (reference ?? '').length;
    const known = name !== undefined && variables.has(name);
    return signs > 1 || known ? '$'.repeat(signs) + match : match;
  });
}
